//! `uname`: what system this is.

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::Io;

/// What it says of itself.
pub const ABOUT: About = About::new("uname", "uname", "show what system this is");

/// The instruction set this was built for.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") {
    "aarch64"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else {
    "host"
};

/// Does it.
pub fn run<I: Io>(io: &mut I, _: &Arguments<'_>) -> Result<i32, Error> {
    let version = env!("CARGO_PKG_VERSION");
    io.print(format_args!("Tessera {version} {ARCHITECTURE}\n"))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn names_the_system() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["uname"]), 0);
        assert!(fake.output().starts_with("Tessera "));
    }
}
