//! `cargo xtask new`: starts a server or an app from a template.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::cli::{New, NewKind, NewName};
use crate::process::step;
use crate::workspace::{root, shown};

const SERVER: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        include_str!("../../templates/server/Cargo.toml.in"),
    ),
    (
        "src/lib.rs",
        include_str!("../../templates/server/src/lib.rs.in"),
    ),
    (
        "src/server.rs",
        include_str!("../../templates/server/src/server.rs.in"),
    ),
    (
        "src/main.rs",
        include_str!("../../templates/server/src/main.rs.in"),
    ),
];
const APP: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        include_str!("../../templates/app/Cargo.toml.in"),
    ),
    (
        "src/main.rs",
        include_str!("../../templates/app/src/main.rs.in"),
    ),
];
const CLIENT: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        include_str!("../../templates/app/Cargo.toml.in"),
    ),
    (
        "src/main.rs",
        include_str!("../../templates/app/src/client.rs.in"),
    ),
];

/// What a package of its own needs that a member of this workspace has from it.
const ALONE: &str = r#"
# A workspace of its own, wherever the folder lies.
[workspace]

[profile.release]
opt-level = 2
lto = "fat"
codegen-units = 1
panic = "abort"
"#;
const MEMBER: &str = "\n[lints]\nworkspace = true\n";

/// Runs the command.
pub fn new(options: New) -> Result<ExitCode> {
    let advice = create(&options.kind)?;
    print!("{advice}");
    Ok(ExitCode::SUCCESS)
}

/// Writes the files and returns what to do next.
pub fn create(kind: &NewKind) -> Result<String> {
    let (name, parent, server) = match kind {
        NewKind::Server(name) => (name, "servers", None),
        NewKind::App(app) => (&app.name, "user", app.server.as_deref()),
    };
    let new = Package::new(name, parent)?;
    let server = server.map(Server::find).transpose()?;
    let files = match (kind, &server) {
        (NewKind::Server(_), _) => SERVER,
        (NewKind::App(_), None) => APP,
        (NewKind::App(_), Some(_)) => CLIENT,
    };
    new.write(files, server.as_ref())?;
    if !new.alone {
        add_member(
            &root().join("Cargo.toml"),
            &format!("{parent}/{}", new.name),
        )?;
    }
    step("Created", shown(&new.folder));
    Ok(match kind {
        NewKind::Server(_) => new.advice_for_server(),
        NewKind::App(_) => new.advice_for_app(server.as_ref()),
    })
}

struct Package {
    name: String,
    folder: PathBuf,
    /// Whether it is no member of this workspace.
    alone: bool,
}

impl Package {
    fn new(options: &NewName, parent: &str) -> Result<Self> {
        let name = options.name.clone();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ensure!(
            name.chars().all(plain)
                && name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.len() <= 24,
            "`{name}` is no name: use lower case letters, digits and `-`, at most 24, \
             and begin with a letter"
        );
        let (folder, alone) = match &options.path {
            Some(path) => (std::path::absolute(path)?, true),
            None => (root().join(parent).join(&name), false),
        };
        ensure!(!folder.exists(), "{} exists already", shown(&folder));
        Ok(Self {
            name,
            folder,
            alone,
        })
    }

    fn package(&self) -> String {
        if self.alone {
            self.name.clone()
        } else {
            format!("tessera-{}", self.name)
        }
    }

    fn write(&self, files: &[(&str, &str)], server: Option<&Server>) -> Result<()> {
        for (file, template) in files {
            let path = self.folder.join(file);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, self.fill(template, server))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    fn fill(&self, template: &str, server: Option<&Server>) -> String {
        let libipc = match self.alone {
            true => format!("{{ path = {:?} }}", root().join("libipc")),
            false => "{ workspace = true }".into(),
        };
        let mut text = template
            .replace("{package}", &self.package())
            .replace("{crate}", &self.package().replace('-', "_"))
            .replace("{name}", &self.name)
            .replace("{Name}", &type_name(&self.name))
            .replace("{libipc}", &libipc)
            .replace("{tail}", if self.alone { ALONE } else { MEMBER });
        let dependency =
            server.map(|server| format!("{} = {{ path = {:?} }}\n", server.package, server.folder));
        text = text.replace("{dependency}", &dependency.unwrap_or_default());
        if let Some(server) = server {
            text = text
                .replace("{server_crate}", &server.package.replace('-', "_"))
                .replace("{server_ident}", &server.name.replace('-', "_"))
                .replace("{server}", &server.name)
                .replace("{Server}", &type_name(&server.name));
        }
        text
    }

    /// The lines of a system page's table `sources`.
    fn source(&self) -> String {
        match self.alone {
            true => format!(
                "[sources]\n{} = {:?}\n\n",
                self.name,
                self.folder.join("Cargo.toml")
            ),
            false => String::new(),
        }
    }

    fn advice_for_server(&self) -> String {
        format!(
            "To run it, add to a system page\n\n{source}[[task]]\nname = {name:?}\n\
             program = {name:?}\nquota = \"512K\"\npriority = 90\n\
             restart = {{ policy = \"always\" }}\nprovides = [{name:?}]\n\n\
             and {name:?} to the `grants` of the task `shell`.\n",
            source = self.source(),
            name = self.name,
        )
    }

    fn advice_for_app(&self, server: Option<&Server>) -> String {
        let source = match self.source() {
            none if none.is_empty() => none,
            some => format!("with\n\n{some}"),
        };
        let command = match server {
            None => self.name.clone(),
            Some(server) => format!("run --grant {} {} 2 40", server.name, self.name),
        };
        format!(
            "To run it, add {:?} to the `programs` of a system page\n{source}\
             and type `{command}` at the shell.\n",
            self.name,
        )
    }
}

/// A server that a new app is to call.
struct Server {
    name: String,
    package: String,
    folder: PathBuf,
}

impl Server {
    /// By its name in this workspace, or by its folder.
    fn find(server: &str) -> Result<Self> {
        let folder = match server.contains(['/', '.']) {
            true => std::path::absolute(server)?,
            false => root().join("servers").join(server),
        };
        let manifest = folder.join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest)
            .with_context(|| format!("there is no server in {}", shown(&folder)))?;
        let table: toml::Table = text.parse()?;
        let package = table["package"]["name"]
            .as_str()
            .context("the server has no name")?;
        let name = package
            .strip_prefix("tessera-")
            .unwrap_or(package)
            .to_string();
        Ok(Self {
            name,
            package: package.into(),
            folder,
        })
    }
}

/// `my-server` as the name of a type: `MyServer`.
fn type_name(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or(String::new(), |first| {
            first.to_uppercase().chain(letters).collect()
        })
    };
    name.split('-').map(capital).collect()
}

/// Adds a member to the workspace, where the alphabet wants it.
fn add_member(manifest: &Path, member: &str) -> Result<()> {
    let text = std::fs::read_to_string(manifest)?;
    std::fs::write(manifest, with_member(&text, member)?)?;
    Ok(())
}

fn with_member(text: &str, member: &str) -> Result<String> {
    let Some((before, rest)) = text.split_once("members = [\n") else {
        bail!("the root Cargo.toml has no list of members")
    };
    let (list, after) = rest
        .split_once("]\n")
        .context("the list of members has no end")?;
    let new = format!("    {member:?},\n");
    let mut lines: Vec<&str> = list.split_inclusive('\n').collect();
    let place = lines
        .iter()
        .position(|line| **line > *new)
        .unwrap_or(lines.len());
    lines.insert(place, &new);
    Ok(format!("{before}members = [\n{}]\n{after}", lines.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_types() {
        assert_eq!(type_name("my-server2"), "MyServer2");
    }

    #[test]
    fn members_stay_sorted() {
        let text = "[workspace]\nmembers = [\n    \"boot\",\n    \"user/a\",\n]\nx = 1\n";
        let added = with_member(text, "servers/b").unwrap();
        let expected = "[workspace]\nmembers = [\n    \"boot\",\n    \"servers/b\",\n    \"user/a\",\n]\nx = 1\n";
        assert_eq!(added, expected);
        assert!(with_member("[package]", "a").is_err());
    }

    #[test]
    fn bad_names_and_existing_folders_are_refused() {
        let make = |name: &str| {
            Package::new(
                &NewName {
                    name: name.into(),
                    path: None,
                },
                "servers",
            )
            .map(|_| ())
        };
        for bad in ["Upper", "", "1st", "a b", &"n".repeat(25)] {
            assert!(make(bad).is_err(), "{bad}");
        }
        assert!(
            make("init")
                .unwrap_err()
                .to_string()
                .contains("exists already")
        );
        assert!(make("no-such-server").is_ok());
    }

    #[test]
    fn templates_are_filled_completely() {
        let name = NewName {
            name: "my-app".into(),
            path: Some("/nowhere/my-app".into()),
        };
        let package = Package::new(&name, "user").unwrap();
        let server = Server {
            name: "summer".into(),
            package: "tessera-summer".into(),
            folder: "/nowhere/summer".into(),
        };
        for (file, template) in SERVER.iter().chain(APP).chain(CLIENT) {
            let text = package.fill(template, Some(&server));
            match file.ends_with(".rs") {
                true => assert!(syn::parse_file(&text).is_ok(), "{text}"),
                false => assert!(text.parse::<toml::Table>().is_ok(), "{text}"),
            }
        }
    }
}
