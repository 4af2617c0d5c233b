//! `cargo xtask bench --cores`: calls to a server on another core, and pairs of client
//! and server on cores of their own.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use super::system::{CLOCK, System};
use super::table::Line;
use crate::arch::Arch;

/// A server on each core, and who calls them.
const SYSTEM: &str = "tests/systems/bench-cores.toml";
const CORES: u32 = 4;

/// Measures with a clock that counts instructions, if there is one, and with the host's.
pub fn measure(arch: Arch, program: &Path) -> Result<String> {
    let system = System::build_as(SYSTEM, arch, CORES, &[])?;
    let counted = match arch {
        Arch::Aarch64 => system.run(program.into(), CLOCK, None)?,
        // The firmware waits for another core to have done something, and under this
        // clock the emulator does not get round to running that one.
        Arch::Riscv64 => Vec::new(),
    };
    let timed = system.run(program.into(), &[], None)?;
    Ok(table(arch, &counted, &timed))
}

fn table(arch: Arch, counted: &[Line], timed: &[Line]) -> String {
    let mut text = format!(
        "calls with two words on {arch}, {CORES} cores\n\n\
         instructions a call  calls a second of the host's time  what\n"
    );
    for timed in timed {
        let line = counted.iter().find(|line| line.case == timed.case);
        let instructions = line.map_or("-".into(), |line| line.figure("").instructions.to_string());
        let rate = u128::from(timed.times) * 1_000_000_000 / u128::from(timed.nanoseconds.max(1));
        let what = match timed.case.as_str() {
            "same_core" => "to a server on the same core".into(),
            "other_core" => "to a server on another core".into(),
            case => case.replacen("pairs_", "pairs at the same time: ", 1),
        };
        // Formatting into a string does not fail.
        let _ = writeln!(text, "{instructions:>19}  {rate:>33}  {what}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::table::parse;

    fn lines(text: &str) -> Vec<Line> {
        let parsed = text.lines().filter_map(parse);
        parsed.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn work_and_rate_stand_side_by_side() {
        let counted = lines("[bench] pairs_2 8 4000\n[bench] other_core 4 8000");
        let timed = lines("[bench] other_core 4 400\n[bench] pairs_2 8 16000");
        let rows = |counted: &[Line]| {
            let text = table(Arch::Riscv64, counted, &timed);
            let rows = text.lines().skip(3).map(|line| {
                let words = line.split_whitespace().map(String::from);
                words.collect::<Vec<_>>()
            });
            rows.collect::<Vec<_>>()
        };
        let both = rows(&counted);
        assert_eq!(both[0][..2], ["2000", "10000000"]);
        assert_eq!(both[1][..2], ["500", "500000"]);
        assert_eq!(both[1].last().unwrap(), "2");
        assert_eq!(rows(&[])[1][..2], ["-", "500000"]);
    }
}
