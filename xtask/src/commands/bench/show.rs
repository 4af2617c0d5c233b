//! Figures as a table for people, beside bars and peers.

use std::fmt::Write;

use super::cases::{By, CASES};
use super::table::Figure;
use crate::arch::Arch;

/// The figures, and what each counts.
pub fn table(figures: &[Figure]) -> String {
    let mut text = format!(
        "{:<20} {:<8} {:>12} {:>10} {:>6}  {:>18} {:>6}\n",
        "case", "arch", "figure", "bar", "", "peer", "ratio"
    );
    for case in CASES {
        for figure in figures.iter().filter(|figure| figure.case == case.name) {
            let arch = Arch::ALL
                .into_iter()
                .find(|arch| arch.name() == figure.arch);
            let Some(arch) = arch else { continue };
            let bar = case.bar.of(arch);
            let verdict = if figure.instructions <= bar {
                ""
            } else {
                "above"
            };
            let peer = case.peer.map(|(name, figures)| (name, figures.of(arch)));
            let peer = peer.filter(|(_, of)| *of > 0);
            let (peer, ratio) = peer.map_or_else(Default::default, |(name, of)| {
                let ratio = figure.instructions as f64 / of as f64;
                (format!("{name} {of}"), format!("{ratio:.2}"))
            });
            let line = format!(
                "{:<20} {:<8} {:>12} {bar:>10} {verdict:>6}  {peer:>18} {ratio:>6}",
                case.name, figure.arch, figure.instructions
            );
            // Formatting into a string does not fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    let waited = figures
        .iter()
        .filter_map(|figure| Some((figure, figure.traffic?)));
    for (index, (figure, traffic)) in waited.enumerate() {
        if index == 0 {
            let _ = writeln!(
                text,
                "\n{:<20} {:<8} {:>9} {:>13} {:>7}   for one operation, by all tasks",
                "case", "arch", "messages", "bytes copied", "frames"
            );
        }
        let frames = traffic
            .frames
            .map_or(String::new(), |frames| format!("{frames:.1}"));
        let line = format!(
            "{:<20} {:<8} {:>9.1} {:>13.1} {frames:>7}",
            figure.case, figure.arch, traffic.messages, traffic.copied
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for by in By::ALL {
        let shown = |name| figures.iter().any(|figure| figure.case == name);
        let mut cases = CASES
            .iter()
            .filter(|case| case.by == by && shown(case.name))
            .peekable();
        if cases.peek().is_some() {
            let _ = writeln!(text, "\n{}:", by.how());
        }
        for case in cases {
            let _ = writeln!(text, "  {:<20} {}", case.name, case.what);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::table::MEBIBYTES;

    #[test]
    fn each_figure_stands_beside_its_bar_and_peer() {
        let figure = Figure {
            arch: "riscv64".into(),
            case: "memory".into(),
            instructions: 16,
            unit: MEBIBYTES.into(),
            traffic: None,
        };
        let text = table(&[figure]);
        let lines: Vec<_> = text.lines().collect();
        let words: Vec<_> = lines[1].split_whitespace().collect();
        assert_eq!(
            words,
            [
                "memory", "riscv64", "16", "8", "above", "Linux", "80", "0.20"
            ]
        );
        assert!(lines[3].contains("MiB"), "{text}");
        assert!(lines[4].starts_with("  memory"), "{text}");
        assert_eq!(lines.len(), 5);
    }
}
