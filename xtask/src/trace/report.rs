//! Tables of a trace: by stage, by symbol, by instruction.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use super::code::Code;
use super::log::{Log, Role};
use super::place::Places;

/// What is in no program: the firmware of riscv64.
const OTHER: &str = "firmware";

/// An instruction in the file that it comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The program.
    pub program: String,
    /// The address there; as it was executed if the program is not known.
    pub address: u64,
    /// Function and offset.
    pub symbol: String,
    /// How far into the function.
    pub offset: u64,
    /// The encoding.
    pub bytes: Vec<u8>,
}

/// What was executed, how often and for what.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    spots: BTreeMap<Spot, u64>,
    /// By the program that entered the kernel.
    stages: BTreeMap<String, BTreeMap<Role, u64>>,
}

impl Trace {
    /// Puts names to what was counted.
    pub fn new(log: &Log, places: &Places, code: &[Code]) -> Self {
        let mut trace = Self::default();
        let mut known = HashMap::new();
        for count in &log.counts {
            let at = &log.instructions[count.instruction];
            let spot = known.entry(count.instruction).or_insert_with(|| {
                let place = places.of(at, code);
                let (program, address) = match place {
                    Some((program, address)) => (code[program].name.as_str(), address),
                    None => (OTHER, at.address),
                };
                let symbol = place.and_then(|(program, address)| code[program].find(address));
                let (symbol, offset) = match symbol {
                    Some((function, offset)) => (function.name.as_str(), offset),
                    None => (OTHER, 0),
                };
                Spot {
                    program: program.into(),
                    address,
                    symbol: symbol.into(),
                    offset,
                    bytes: at.bytes.clone(),
                }
            });
            let origin = match count.role {
                Role::Program => spot.program.as_str(),
                _ => places
                    .program(count.page)
                    .map_or(OTHER, |index| &code[index].name),
            };
            let stage = trace.stages.entry(origin.into()).or_default();
            *stage.entry(count.role).or_default() += count.count;
            *trace.spots.entry(spot.clone()).or_default() += count.count;
        }
        trace
    }

    /// All instructions.
    pub fn sum(&self) -> u64 {
        self.spots.values().sum()
    }

    /// A line for each stage, `first` before all other programs.
    pub fn by_stage(&self, times: u64, first: &str) -> String {
        let mut text = format!("{:>14}  stage\n", "instructions");
        let mut programs: Vec<_> = self.stages.iter().collect();
        programs.sort_by_key(|(name, stage)| {
            let all = stage.values().sum::<u64>();
            (name.as_str() != first, std::cmp::Reverse(all))
        });
        for (name, stage) in programs {
            for (role, count) in stage {
                let stage = match role {
                    Role::Program => name.clone(),
                    _ => format!("    {role}, entered from {name}"),
                };
                line(&mut text, *count, times, &stage);
            }
        }
        line(&mut text, self.sum(), times, "sum");
        text
    }

    /// A line for each function, the most expensive first.
    pub fn by_symbol(&self, times: u64) -> String {
        let mut symbols = BTreeMap::<(&str, &str), u64>::new();
        for (spot, count) in &self.spots {
            *symbols.entry((&spot.program, &spot.symbol)).or_default() += count;
        }
        let mut symbols: Vec<_> = symbols.into_iter().collect();
        symbols.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        let mut text = format!("{:>14}  {:<14} symbol\n", "instructions", "program");
        for ((program, symbol), count) in symbols {
            line(&mut text, count, times, &format!("{program:<14} {symbol}"));
        }
        text
    }

    /// A line for each instruction, by program and address; `source` says where the
    /// kernel's come from.
    pub fn by_instruction(&self, times: u64, source: impl Fn(u64) -> String) -> String {
        let mut text = format!(
            "{:>14}  {:<14} {:>16} {:>8}  symbol, source\n",
            "executed", "program", "address", "encoding"
        );
        for (spot, count) in &self.spots {
            let source = match spot.program == super::KERNEL {
                true => source(spot.address),
                false => String::new(),
            };
            let encoding = spot
                .bytes
                .iter()
                .rev()
                .fold(String::new(), |mut all, byte| {
                    // Formatting into a string does not fail.
                    let _ = write!(all, "{byte:02x}");
                    all
                });
            let what = format!(
                "{:<14} {:>16x} {encoding:>8}  {}+{:#x}  {source}",
                spot.program, spot.address, spot.symbol, spot.offset
            );
            line(&mut text, *count, times, what.trim_end());
        }
        text
    }
}

/// `count` for each time, as exact as two decimals are, and what it is.
fn line(text: &mut String, count: u64, times: u64, what: &str) {
    let each = count as f64 / times.max(1) as f64;
    // Formatting into a string does not fail.
    let _ = writeln!(text, "{each:>14.2}  {what}");
}

#[cfg(test)]
mod tests {
    use super::super::code::tests::program;
    use super::*;

    const TRACE: &str = "i 1000 10000 0100\n\
                         i 1002 10002 0200\n\
                         i 8000000000001000 20000 0300\n\
                         i 8000000000001002 20002 0400\n\
                         i 7000 30000 ffff\n\
                         c 10 program 0 4\n\
                         c 10 program 1 2\n\
                         c 10 entry 2 2\n\
                         c 10 kernel 3 6\n\
                         c 0 exit 2 2\n\
                         c 30 program 4 1\n";

    fn trace() -> Trace {
        let mut kernel = program("kernel", &[3, 0, 4, 0], &[]);
        kernel.sections[0].0 |= 1 << 63;
        kernel.functions = program("", &[], &[((1 << 63) + 0x1000, 8, "pass")]).functions;
        let code = [
            kernel,
            program("bench", &[1, 0, 2, 0], &[(0x1000, 4, "run")]),
        ];
        let log = Log::read(TRACE).unwrap();
        Trace::new(&log, &Places::find(&log, &code), &code)
    }

    #[test]
    fn stages_follow_the_way_of_a_call() {
        assert_eq!(
            trace().by_stage(2, "bench"),
            "  instructions  stage
          3.00  bench
          1.00      entry rim, entered from bench
          3.00      kernel, entered from bench
          0.50  firmware
          1.00      exit rim, entered from firmware
          8.50  sum
"
        );
    }

    #[test]
    fn symbols_are_summed() {
        assert_eq!(
            trace().by_symbol(1),
            "  instructions  program        symbol
         10.00  kernel         pass
          6.00  bench          run
          1.00  firmware       firmware
"
        );
    }

    #[test]
    fn instructions_have_their_place() {
        let text = trace().by_instruction(1, |_| "fast.rs:3".into());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            "          4.00  bench                      1000     0001  run+0x0"
        );
        assert!(lines[5].ends_with("pass+0x2  fast.rs:3"), "{text}");
        assert_eq!(lines.len(), 6);
    }
}
