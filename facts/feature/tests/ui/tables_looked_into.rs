use event::Subject;
use feature::Tables;

fn look(tables: &mut Tables, subject: Subject) {
    let _ = tables.open.get(&subject);
    let _ = tables.get(subject);
    let _ = tables.scan(|_, _| {});
}

fn main() {}
