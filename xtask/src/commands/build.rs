//! `cargo xtask build`: builds a system's image and prints what each part costs.

use std::process::ExitCode;

use anyhow::Result;

use super::build_system;
use crate::cli::Build;
use crate::image::price;
use crate::workspace::shown;

/// Runs the command.
pub fn build(options: Build) -> Result<ExitCode> {
    let parts = build_system(&options.system.system, options.arch)?;
    let image = parts.write()?;
    print!("{}", price::table(&parts)?);
    println!("{}", shown(&image));
    Ok(ExitCode::SUCCESS)
}
