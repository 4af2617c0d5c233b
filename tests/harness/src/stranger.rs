//! A stranger's server and app: made from the templates in folders of their own,
//! built by plain cargo, named by a system page, called from the shell. What the
//! README tells people to do, done.

use anyhow::{Context, Result};
use xtask::cli::{NewApp, NewKind, NewName};
use xtask::commands::new::create;
use xtask::process::{cargo, output};
use xtask::workspace::{root, target};

use crate::images::Images;
use crate::plan::Job;
use crate::session;

const SESSION: &str = "\
$ run --grant summer adder 2 40
2
42
the sum is 42
$ run --grant summer adder
the sum is 42
";

/// Makes, tests, builds and calls them.
pub fn run(job: &Job, images: &Images) -> Result<()> {
    let folder = target().join(format!("tessera/stranger-{}", job.arch));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let name = |name: &str| NewName {
        name: name.into(),
        path: Some(folder.join(name)),
    };
    let server = folder.join("summer").to_string_lossy().into_owned();
    create(&NewKind::Server(name("summer")))?;
    create(&NewKind::App(NewApp {
        name: name("adder"),
        server: Some(server),
    }))?;
    output(
        cargo()
            .args(["test", "--quiet", "--manifest-path"])
            .arg(folder.join("summer/Cargo.toml"))
            .arg("--target-dir")
            .arg(target().join("outside/host")),
    )
    .context("the new server's own tests")?;

    let page = folder.join("stranger.toml");
    std::fs::write(&page, page_text()?)?;
    session::hold(job, &page, SESSION, "stranger", images)
}

/// The standard system and what the two commands say is to be added.
fn page_text() -> Result<String> {
    let folder = root().join("boot/systems");
    let standard = std::fs::read_to_string(folder.join("standard.toml"))?;
    let files = format!("= \"{}/files/", folder.display());
    Ok(standard
        .replace("= \"files/", &files)
        .replacen("programs = [", "programs = [\"adder\", ", 1)
        .replacen("grants = [", "grants = [\"summer\", ", 1)
        .replacen(
            "[[task]]",
            "[sources]\nsummer = \"summer/Cargo.toml\"\nadder = \"adder/Cargo.toml\"\n\n\
             [[task]]\nname = \"summer\"\nprogram = \"summer\"\nquota = \"512K\"\npriority = 90\n\
             provides = [\"summer\"]\n\n[[task]]",
            1,
        ))
}
