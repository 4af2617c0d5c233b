//! The symbol table of a program, in the archive's compact form.

use anyhow::{Context, Result};
use elf::ElfBytes;
use elf::abi::{STT_FUNC, STT_NOTYPE};
use elf::endian::LittleEndian;
use tessera_archive::write_symbols;

/// Longer names are cut; what follows is type parameters.
const LONGEST: usize = 96;

/// The functions of an ELF file by address, with names as people write them.
pub fn table(elf: &[u8]) -> Result<Vec<u8>> {
    let file = ElfBytes::<LittleEndian>::minimal_parse(elf).context("is no ELF file")?;
    let Some((symbols, strings)) = file.symbol_table().context("has a bad symbol table")? else {
        return Ok(write_symbols([]));
    };
    // Assembly routines often have a size but no type.
    let functions = symbols.iter().filter(|symbol| match symbol.st_symtype() {
        STT_FUNC => !symbol.is_undefined(),
        STT_NOTYPE => !symbol.is_undefined() && symbol.st_size > 0,
        _ => false,
    });
    let named: Vec<(u64, u64, String)> = functions
        .filter_map(|symbol| {
            let name = strings.get(symbol.st_name as usize).ok()?;
            Some((symbol.st_value, symbol.st_size, readable(name)))
        })
        .collect();
    Ok(write_symbols(
        named
            .iter()
            .map(|(at, size, name)| (*at, *size, name.as_str())),
    ))
}

/// The name without mangling and hash, not too long.
fn readable(name: &str) -> String {
    let mut name = format!("{:#}", rustc_demangle::demangle(name));
    if name.len() > LONGEST {
        name.truncate(name.floor_char_boundary(LONGEST));
        name.push_str("..");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_demangled_and_cut() {
        assert_eq!(
            readable("_ZN4core3fmt5write17h0123456789abcdefE"),
            "core::fmt::write"
        );
        assert_eq!(readable("trap_entry"), "trap_entry");
        assert_eq!(readable(&"n".repeat(200)).len(), LONGEST + 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_symbols_are_found() {
        let elf = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let data = table(&elf).unwrap();
        let symbols = tessera_archive::Symbols::new(&data).unwrap();
        let file = ElfBytes::<LittleEndian>::minimal_parse(&elf).unwrap();
        let (all, strings) = file.symbol_table().unwrap().unwrap();
        let main = all
            .iter()
            .find(|symbol| strings.get(symbol.st_name as usize).ok() == Some("main"));
        assert_eq!(symbols.find(main.unwrap().st_value), Some(("main", 0)));
    }
}
