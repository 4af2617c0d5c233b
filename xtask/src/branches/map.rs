//! The conditional branches of a kernel's text: where each is, what it belongs
//! to, and whether one of its ways leads to a panic and nowhere else.

use std::path::Path;

use addr2line::Loader;
use anyhow::{Context, Result, anyhow};
use elf::ElfBytes;
use elf::abi::{SHF_EXECINSTR, STT_FUNC, STT_NOTYPE};
use elf::endian::LittleEndian;

use super::decode::{Flow, decode};
use crate::arch::Arch;
use crate::workspace::root;

/// What is used everywhere: a branch in it belongs to the code that it was put
/// into, like one of the core library.
const HELPERS: [&str; 2] = ["kernel/src/cell.rs", "kernel/src/list.rs"];

/// Functions that do not return, by how their names begin.
const PANICS: [&str; 8] = [
    "core::panicking::",
    "core::slice::index::slice_",
    "core::str::slice_error_fail",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::unwrap_failed",
    "core::cell::panic_",
    "tessera_kernel::bug::",
];

/// Instructions that are looked at on the way to a panic.
const LOOK_AHEAD: usize = 40;

/// A conditional branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// Where it is.
    pub address: u64,
    /// Where it goes to when it is taken.
    pub taken: u64,
    /// Where it goes on when it is not.
    pub next: u64,
    /// Whether one of the two leads to a panic only.
    pub panics: bool,
    /// The source file, from the project's root on.
    pub file: String,
    /// The line there.
    pub line: u32,
    /// The function.
    pub function: String,
    /// The pass of the fast path that it is in, if it is in one: where that begins, and
    /// its name, which the same pass for other machines has too.
    pub pass: Option<(u64, String)>,
}

/// How the names of the passes of the fast path begin. Each is there once for a core that
/// is alone and once for one that is not, and a machine uses one of the two.
const PASSES: &str = "tessera_kernel::ipc::fast::pass_";

/// A function of the kernel.
struct Function {
    address: u64,
    size: u64,
    name: String,
}

/// The text of a kernel.
struct Text<'e> {
    arch: Arch,
    /// Executable sections: first address and bytes.
    sections: Vec<(u64, &'e [u8])>,
    /// By address.
    functions: Vec<Function>,
}

/// All conditional branches in functions of the kernel at `path`, by address.
pub fn branches(arch: Arch, path: &Path) -> Result<Vec<Branch>> {
    let elf = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = Text::read(arch, &elf)?;
    let lines = Loader::new(path)
        .map_err(|error| anyhow!("{error}"))
        .context("the kernel's line tables")?;
    let mut found = Vec::new();
    for function in &text.functions {
        let name = readable(&function.name);
        let is_pass = name.starts_with(PASSES);
        let pass = is_pass.then_some((function.address, name));
        let mut address = function.address;
        while address < function.address + function.size {
            let Some((length, flow)) = text.decode(address) else {
                break;
            };
            if let Flow::Branch(taken) = flow {
                let next = address + length;
                let (file, line, inlined) = place(&lines, address)?;
                found.push(Branch {
                    address,
                    taken,
                    next,
                    panics: text.panics(taken) || text.panics(next),
                    file,
                    line,
                    function: inlined.unwrap_or_else(|| function.name.clone()),
                    pass: pass.clone(),
                });
            }
            address += length;
        }
    }
    found.sort_by_key(|branch| branch.address);
    found.dedup_by_key(|branch| branch.address);
    Ok(found)
}

/// File, line and function that the instruction at `address` comes from: the
/// innermost of the project's own that is no helper. Functions that it was
/// inlined into follow its own.
pub fn place(lines: &Loader, address: u64) -> Result<(String, u32, Option<String>)> {
    let error = |error| anyhow!("line tables: {error}");
    let mut frames = lines
        .find_frames(address)
        .map_err(|error| anyhow!("line tables: {error}"))?;
    let (mut file, mut line) = (String::from("?"), 0);
    let mut functions = Vec::new();
    while let Some(frame) = frames.next().map_err(error)? {
        let Some(location) = frame.location else {
            continue;
        };
        let path = Path::new(location.file.unwrap_or_default());
        let Ok(path) = path.strip_prefix(root()) else {
            continue;
        };
        if functions.is_empty() || HELPERS.contains(&file.as_str()) {
            file = path.to_string_lossy().into_owned();
            line = location.line.unwrap_or(0);
        }
        let function = frame.function.as_ref().and_then(|f| f.raw_name().ok());
        functions.extend(function.map(|name| readable(&name)));
    }
    let functions = (!functions.is_empty()).then(|| functions.join(" in "));
    Ok((file, line, functions))
}

/// A function's name as people write it.
pub fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

impl<'e> Text<'e> {
    fn read(arch: Arch, elf: &'e [u8]) -> Result<Self> {
        let file = ElfBytes::<LittleEndian>::minimal_parse(elf).context("is no ELF file")?;
        let headers = file.section_headers().context("has no sections")?;
        let mut sections = Vec::new();
        for header in headers {
            if header.sh_flags & u64::from(SHF_EXECINSTR) != 0 {
                sections.push((header.sh_addr, file.section_data(&header)?.0));
            }
        }
        let (symbols, strings) = file.symbol_table()?.context("has no symbols")?;
        let mut functions: Vec<_> = symbols
            .iter()
            .filter(|symbol| [STT_FUNC, STT_NOTYPE].contains(&symbol.st_symtype()))
            .filter(|symbol| symbol.st_size > 0)
            .map(|symbol| Function {
                address: symbol.st_value,
                size: symbol.st_size,
                name: readable(strings.get(symbol.st_name as usize).unwrap_or_default()),
            })
            .collect();
        functions.sort_by_key(|function| function.address);
        Ok(Self {
            arch,
            sections,
            functions,
        })
    }

    fn decode(&self, address: u64) -> Option<(u64, Flow)> {
        let mut bytes = self.sections.iter().filter_map(|(first, bytes)| {
            let offset = address.checked_sub(*first)?;
            bytes.get(usize::try_from(offset).ok()?..)
        });
        decode(self.arch, bytes.next()?, address)
    }

    /// Whether what begins at `address` comes to a panic and can come to nothing
    /// else.
    fn panics(&self, mut address: u64) -> bool {
        for _ in 0..LOOK_AHEAD {
            let Some((length, flow)) = self.decode(address) else {
                return false;
            };
            match flow {
                Flow::Next => address += length,
                Flow::Jump(to) if self.is_panic(to) => return true,
                Flow::Jump(to) => address = to,
                Flow::Call(to) => return self.is_panic(to),
                Flow::Trap => return true,
                Flow::Branch(_) | Flow::Unknown => return false,
            }
        }
        false
    }

    fn is_panic(&self, address: u64) -> bool {
        let at = self.functions.binary_search_by_key(&address, |f| f.address);
        at.is_ok_and(|index| {
            let name = &self.functions[index].name;
            PANICS.iter().any(|begin| name.starts_with(begin))
        })
    }
}
