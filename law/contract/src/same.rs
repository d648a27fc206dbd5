//! Whether two texts of a contract say the same: comments, blank lines and the order of keys say nothing.

use serde_json::Value;

use crate::Contract;
use crate::yaml;

impl Contract {
    /// True where the other text says the same in other words: other comments, other spacing, keys in another order.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.yaml() == other.yaml()
            || meaning(self.yaml()).is_some_and(|mine| Some(mine) == meaning(other.yaml()))
    }

    /// The line its file gives the version on, for messages.
    pub fn version_line(&self) -> u32 {
        let found = self.yaml().lines().position(|line| line.starts_with("version:"));
        found.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or(1)
    }
}

fn meaning(text: &str) -> Option<Value> {
    // A mapping of JSON is compared by its keys, whatever their order.
    yaml::parse(text, "").ok().map(|root| root.json())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: 1.0.0\nschema:\n  - name: orders\n    properties:\n      - { name: a, logicalType: string }\n";

    fn read(text: &str) -> Contract {
        Contract::parse(text, "orders.yaml").unwrap().contract
    }

    #[test]
    fn comments_and_order_say_nothing_and_a_word_does() {
        let one = read(TEXT);
        assert!(one.says_the_same(&read(&TEXT.replace("id: x\n", "id: x # ours\n\n"))));
        assert!(one.says_the_same(&read(
            &TEXT.replace("{ name: a, logicalType: string }", "{ logicalType: string, name: a }")
        )));
        assert!(!one.says_the_same(&read(&TEXT.replace("string", "integer"))));
        assert_eq!(one.version_line(), 4);
    }
}
