//! A copy of the working tree, in which faults are seeded.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::output;
use crate::workspace::root;

/// Makes the folder a copy of the working tree. What is the same already keeps
/// its time, so that little is built again.
pub(super) fn copy(to: &Path) -> Result<()> {
    let mut git = Command::new("git");
    git.current_dir(root());
    let files = output(git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let files: BTreeSet<_> = files.split_terminator('\0').collect();
    let stays = |path: &Path| {
        let file = path.strip_prefix(to).unwrap_or(path);
        files.contains(&*file.to_string_lossy()) && root().join(file).exists()
    };
    remove_files(to, &stays)?;
    for &file in &files {
        let (from, to) = (root().join(file), to.join(file));
        // One that was deleted is still in the index.
        let Ok(mut text) = std::fs::read(&from) else {
            continue;
        };
        if file == "Cargo.toml" {
            // A fault may leave something unused.
            let lints = String::from_utf8(text)?;
            text = lints
                .replace("warnings = \"deny\"", "warnings = \"allow\"")
                .into();
        }
        if std::fs::read(&to).is_ok_and(|there| there == text) {
            continue;
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&to, text)?;
    }
    Ok(())
}

/// Removes the files that do not stay; what was built does.
fn remove_files(folder: &Path, stays: &impl Fn(&Path) -> bool) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        match path.is_dir() {
            true if path.ends_with("target") => {}
            true => remove_files(&path, stays)?,
            false if stays(&path) => {}
            false => std::fs::remove_file(&path)?,
        }
    }
    Ok(())
}
