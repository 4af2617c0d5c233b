//! The tests inside the guest, as `cargo xtask test` runs them.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tessera_harness::plan;
use tessera_harness::pool::Pool;
use xtask::commands::test::{GUEST_MATRIX, GUEST_TESTS};

/// Boots at a time: a machine of four cores keeps more than one of ours busy.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if std::env::var_os(GUEST_TESTS).is_none() {
        eprintln!("the tests inside the guest are run by `cargo xtask test`");
    }
    let jobs = plan::select(plan::all(), |name| wanted(&arguments, name));
    let names: Vec<String> = jobs
        .iter()
        .flat_map(|job| job.tests.iter().map(|(_, name)| name.clone()))
        .collect();
    let pool = (!arguments.list).then(|| Pool::start(jobs, WORKERS));
    let trials = names
        .into_iter()
        .map(|name| trial(name, pool.clone()))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(pool) = pool
        && std::env::var_os(GUEST_MATRIX).is_some()
    {
        println!("{}", pool.matrix());
    }
    conclusion.exit_code()
}

fn trial(name: String, pool: Option<Arc<Pool>>) -> Trial {
    let test = name.clone();
    Trial::test(name, move || match pool {
        Some(pool) => pool.outcome(&test).map_err(Failed::from),
        None => Err("listed tests do not run".into()),
    })
}

/// The same choice that libtest makes, made here before anything boots.
fn wanted(arguments: &Arguments, name: &str) -> bool {
    let matches = |pattern: &str| match arguments.exact {
        true => name == pattern,
        false => name.contains(pattern),
    };
    arguments.filter.as_deref().is_none_or(matches)
        && !arguments.skip.iter().any(|pattern| matches(pattern))
}
