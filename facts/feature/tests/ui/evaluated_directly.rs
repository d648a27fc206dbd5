use feature::evaluate::Evaluator;
use feature::rows::Rows;

fn main() {
    let _ = Rows::default();
}
