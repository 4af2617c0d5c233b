//! The tools, a file each, and the table of them.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::Io;

/// A tool, for this kind of [`Io`].
pub struct Tool<I: Io> {
    /// What it says of itself.
    pub about: &'static About,
    /// What it does; the result is its exit code.
    pub run: fn(&mut I, &Arguments<'_>) -> Result<i32, Error>,
}

macro_rules! tools {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// What each tool says of itself, by name.
        pub const ABOUTS: &[&About] = &[$(&$module::ABOUT),*];

        /// The tool of that name.
        pub fn find<I: Io>(name: &str) -> Option<Tool<I>> {
            $(if name == $module::ABOUT.name {
                return Some(Tool { about: &$module::ABOUT, run: $module::run });
            })*
            None
        }
    };
}

tools! {
    caps, cat, cksum, cp, date, dd, df, du, edit, find, fsck, grep, hexdump, ifconfig, kill, log, ls,
    lsblk, mem, mkdir, mv, nc, netstat, ping, poweroff, ps, random, reboot, rm, say, sensor, sleep, stat,
    sync, top, uname, uptime, wc, why,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn every_tool_is_found_and_helps() {
        assert!(ABOUTS.is_sorted_by_key(|about| about.name));
        for about in ABOUTS {
            let mut fake = Fake::new();
            assert_eq!(fake.run(&[about.name, "--help"]), 0);
            let text = fake.output();
            assert!(
                text.starts_with(&alloc::format!("usage: {}", about.name)),
                "{text}"
            );
            assert!(text.contains(about.summary));
        }
        assert!(find::<Fake>("nothing").is_none());
    }
}
