//! No image of the memory on a disk.

/// Tells the system to write no core dump of this process: it would hold keys. What it does not reach: swap (encrypt
/// it, or do without), a debugger of the same user, a hibernated machine.
///
/// Returns false where the system does not know how.
pub fn no_core_dumps() -> bool {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).is_ok()
    }
    #[cfg(not(unix))]
    false
}

#[cfg(all(test, unix))]
mod tests {
    #[test]
    fn the_limit_is_set() {
        assert!(super::no_core_dumps());
        assert_eq!(rustix::process::getrlimit(rustix::process::Resource::Core).current, Some(0));
    }
}
