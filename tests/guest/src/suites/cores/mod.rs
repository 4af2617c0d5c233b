//! Several cores: what runs on one is not disturbed, lost or left behind by
//! another. On a machine with one core the same must hold.
//!
//! `moves`: where threads run; `calls`: messages and signals between cores;
//! `relending`: leases that reach a third core;
//! `ends`: what is stopped or ended while another core runs it; `memory`:
//! address spaces in use on several cores.

mod calls;
mod ends;
mod memory;
mod moves;
mod relending;

use crate::{
    check::Failure,
    run::{Case, World, cases},
};
use libipc::{
    CallError,
    status::Cause,
    thread::{self, JoinHandle},
};

use calls::*;
use ends::*;
use memory::*;
use moves::*;
use relending::*;

pub(crate) const CASES: &[Case] = cases![
    only_who_controls_a_thread_moves_it,
    threads_run_on_all_cores_at_once,
    a_thread_goes_where_it_is_moved,
    a_sleeper_wakes_on_the_core_that_it_was_moved_to,
    floating_point_moves_with_its_thread,
    floating_point_goes_with_who_is_ended,
    calls_go_to_other_cores_and_back,
    ten_thousand_calls_between_cores_lose_none,
    callers_and_servers_move_while_they_call,
    a_storm_of_signals_loses_none,
    a_lender_times_out_while_its_lease_is_copied,
    a_lender_dies_while_its_lease_is_copied,
    a_lender_dies_while_its_lease_is_copied_by_the_third,
    a_lender_times_out_while_its_lease_is_copied_by_the_third,
    revoking_ends_what_other_cores_use,
    a_spinner_on_one_core_stops_no_other,
    a_task_is_killed_while_another_core_runs_it,
    a_task_is_killed_while_it_makes_calls,
    a_task_is_killed_while_it_waits_elsewhere,
    a_thread_is_ended_while_another_core_runs_it,
    a_suspended_thread_stands_still_on_any_core,
    suspending_loses_and_repeats_no_call,
    registers_of_a_running_thread_are_whole,
    a_priority_counts_on_any_core,
    an_unmapped_page_is_gone_on_all_cores,
    a_protected_page_cannot_be_written_on_any_core,
    a_thread_of_the_same_task_sees_new_pages,
    address_space_identifiers_are_used_again,
];

/// Cores of the machine.
fn count(world: &World) -> Result<u64, Failure> {
    Ok(world.counters.counters()?.cores)
}

/// The core that cases run on.
fn own() -> Result<u64, Failure> {
    Ok(thread::current().info()?.core)
}

/// The core after that one, if there are several.
fn other(world: &World) -> Result<u64, Failure> {
    Ok((own()? + 1) % count(world)?)
}

/// Runs `work` on a thread on that core.
fn on<T: Send + 'static>(
    core: u64,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    let handle = thread::spawn(work)?;
    // One that has ended already has run.
    if let Some(thread) = handle.thread() {
        match thread.set_core(core) {
            Err(CallError::Transport(error)) if error.cause == Cause::Died => {}
            moved => moved?,
        }
    }
    Ok(handle)
}

/// The thread's result.
#[track_caller]
fn result<T>(handle: JoinHandle<T>) -> Result<T, Failure> {
    handle
        .join()
        .ok_or_else(|| Failure::new("a thread ended without a result"))
}
