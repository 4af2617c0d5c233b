//! `cargo xtask expand`: prints what the interface macro makes of an interface.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::cli::Expand;
use crate::image::interfaces::{Declaration, declarations};
use crate::page::problem::suggest;
use crate::process::step;
use crate::workspace::{root, shown};

/// Runs the command.
pub fn expand(options: Expand) -> Result<ExitCode> {
    let all = declarations(root(), &[])?;
    let Some(found) = all.iter().find(|one| one.name == options.interface) else {
        let known = suggest(&options.interface, all.iter().map(|one| one.name.as_str()));
        bail!("there is no interface `{}`{known}", options.interface);
    };
    step(
        "Expanding",
        format!("{} of {}", found.name, shown(&found.file)),
    );
    print!("{}", source(found)?);
    Ok(ExitCode::SUCCESS)
}

/// The emitted code, formatted.
fn source(found: &Declaration) -> Result<String> {
    let tokens = libipc_expand::interface(found.arguments.clone(), found.item.clone(), found.side)
        .with_context(|| format!("{} in {}", found.name, shown(&found.file)))?;
    let file = syn::parse2(tokens).context("the macro emits something that is no Rust")?;
    Ok(prettyplease::unparse(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_expands_to_rust() {
        let all = declarations(root(), &[]).unwrap();
        assert!(!all.is_empty());
        for declaration in &all {
            let code = source(declaration).unwrap();
            assert!(
                code.contains(&format!("trait {}", declaration.name)),
                "{code}"
            );
        }
    }
}
