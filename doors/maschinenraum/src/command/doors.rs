//! By which door each command comes in: policies speak of the operator as of everybody else.

use policy::Scope;

use crate::cli::Command;

/// The scope that a command needs where it opens the instance.
pub fn of(command: &Command) -> Scope {
    match command {
        Command::Import(_) | Command::Capture(_) | Command::Sources(_) => Scope::Track,
        Command::Consent(_) => Scope::Consent,
        Command::Decide { .. }
        | Command::Explain { .. }
        | Command::Outcome { .. }
        | Command::Report { .. } => Scope::Decide,
        Command::Train { .. }
        | Command::Promote { .. }
        | Command::Rollback { .. }
        | Command::Retrain { .. } => Scope::Train,
        Command::Export { .. } | Command::Deliver => Scope::Send,
        Command::Lake(_) | Command::Segments(_) => Scope::Export,
        Command::Jobs(_) => Scope::Jobs,
        Command::Models { .. }
        | Command::Features(_)
        | Command::People(_)
        | Command::Quality(_)
        | Command::Lineage(_)
        | Command::Catalogue(_)
        | Command::Impact(_)
        | Command::Status => Scope::Read,
        Command::Erase(_)
        | Command::Audit(_)
        | Command::Register(_)
        | Command::Dpia(_)
        | Command::Oversight(_)
        | Command::Request(_)
        | Command::Incident(_) => Scope::Protect,
        // Whatever changes the house itself.
        _ => Scope::Admin,
    }
}
