//! The keys of a page in TOML. Every key is listed here, so that an unknown one
//! is an error; the README in `boot/systems` says what each means.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::problem::Problems;
use super::units::{Microseconds, Milliseconds, Size};

/// A name with its place in the text.
pub type Name = Spanned<String>;

/// A page as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawPage {
    pub(crate) name: Name,
    pub(crate) ram: Spanned<Size>,
    pub(crate) supervisor_quota: Spanned<Size>,
    #[serde(default)]
    pub(crate) programs: Vec<Name>,
    #[serde(default)]
    pub(crate) files: BTreeMap<Name, Name>,
    #[serde(default)]
    pub(crate) sources: BTreeMap<Name, Name>,
    #[serde(rename = "task", default)]
    pub(crate) tasks: Vec<RawTask>,
}

/// A task as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawTask {
    pub(crate) name: Name,
    pub(crate) program: Name,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    pub(crate) quota: Spanned<Size>,
    pub(crate) heap: Option<Spanned<Size>>,
    pub(crate) stack: Option<Spanned<Size>>,
    pub(crate) priority: Spanned<i64>,
    pub(crate) core: Option<Spanned<i64>>,
    pub(crate) reservation: Option<Spanned<RawReservation>>,
    pub(crate) placement: Option<Name>,
    #[serde(default)]
    pub(crate) cell_mates: Vec<Name>,
    pub(crate) restart: Option<Spanned<RawRestart>>,
    #[serde(default)]
    pub(crate) provides: Vec<Name>,
    #[serde(default)]
    pub(crate) proxies: Vec<Name>,
    #[serde(default)]
    pub(crate) uses: BTreeMap<Name, RawUse>,
    #[serde(default)]
    pub(crate) powers: Vec<Name>,
    #[serde(default)]
    pub(crate) system: Vec<Name>,
    #[serde(default)]
    pub(crate) devices: Vec<RawDevice>,
    #[serde(default)]
    pub(crate) grants: Vec<Name>,
    #[serde(default)]
    pub(crate) accounts: Vec<RawAccount>,
}

/// What a client owns at a file server, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAccount {
    pub(crate) client: Name,
    pub(crate) through: Option<Name>,
    pub(crate) id: Spanned<u32>,
    pub(crate) bytes: Option<Size>,
    pub(crate) files: Option<u64>,
}

/// Processor time as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawReservation {
    pub(crate) budget: Microseconds,
    pub(crate) period: Microseconds,
}

/// A restart policy as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRestart {
    pub(crate) policy: Name,
    pub(crate) backoff: Option<Milliseconds>,
    pub(crate) max_backoff: Option<Milliseconds>,
    pub(crate) max: Option<u32>,
}

/// A device as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawDevice {
    pub(crate) name: Name,
    #[serde(default)]
    pub(crate) compatible: Vec<Name>,
    pub(crate) virtio: Option<Name>,
    #[serde(default)]
    pub(crate) index: u8,
    #[serde(default)]
    pub(crate) interrupt: bool,
}

/// What a task may do with an endpoint: `["call"]`, or with another name for
/// the program `{ endpoint = "log", rights = ["call"] }`.
#[derive(Debug)]
pub struct RawUse {
    pub(crate) endpoint: Option<Name>,
    pub(crate) rights: Vec<Name>,
    pub(crate) partition: Option<Name>,
    pub(crate) optional: bool,
}

impl<'de> Deserialize<'de> for RawUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            endpoint: Name,
            rights: Vec<Name>,
            partition: Option<Name>,
            #[serde(default)]
            optional: bool,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawUse;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rights or { endpoint, rights }")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawUse, A::Error> {
                let mut rights = Vec::new();
                while let Some(right) = list.next_element()? {
                    rights.push(right);
                }
                Ok(RawUse {
                    endpoint: None,
                    rights,
                    partition: None,
                    optional: false,
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawUse, A::Error> {
                let Long {
                    endpoint,
                    rights,
                    partition,
                    optional,
                } = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(RawUse {
                    endpoint: Some(endpoint),
                    rights,
                    partition,
                    optional,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Reads a page. If it is no TOML, has an unknown key, lacks one or has a value
/// of the wrong kind, that is the one problem told.
pub fn parse(text: &str, problems: &mut Problems<'_>) -> Option<RawPage> {
    match toml::from_str(text) {
        Ok(page) => Some(page),
        Err(error) => {
            let message = error.message().replace('\n', ", ");
            problems.add(error.span().unwrap_or(0..0), message);
            None
        }
    }
}
