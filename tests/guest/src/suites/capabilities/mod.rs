//! Capabilities: what no handle gives that was not given.

mod bindings;
mod far_only;
mod forged;
mod rights;
mod table;
mod transfer;

use crate::run::{Case, cases};
use bindings::*;
use far_only::*;
use forged::*;
use rights::*;
use table::*;
use transfer::*;

pub(crate) const CASES: &[Case] = cases![
    a_handle_with_any_bit_changed_is_denied,
    random_handles_are_denied,
    a_stale_handle_is_denied,
    handles_of_another_task_mean_nothing,
    an_object_of_another_type_is_refused,
    the_pseudo_handles_allow_only_what_they_say,
    rights_of_memory,
    rights_of_endpoints,
    calling_needs_its_right_though_a_server_waits,
    minted_badges_are_taken_back,
    rights_of_tasks,
    rights_of_threads,
    rights_of_the_machine,
    rights_of_interrupts,
    rights_of_reservations,
    derivation_never_adds_rights,
    far_only_is_added_and_kept,
    far_only_is_not_delivered_to_a_shared_task,
    who_received_far_only_stays_alone,
    nobody_makes_what_outranks_him,
    passing_on_needs_grant,
    rights_can_be_lost_on_the_way,
    transfer_is_all_or_nothing,
    what_found_room_leaves_with_what_found_none,
    an_answer_without_room_leaves_its_capability,
    one_capability_is_not_moved_twice,
    losing_the_last_right_to_receive_on_the_way_is_safe,
    another_tasks_table_can_be_filled_and_emptied,
    a_table_grows_and_uses_its_slots_again,
    a_table_is_listed_as_it_is,
    a_table_that_cannot_grow_refuses_and_gives_all_back,
    revoking_ends_what_was_bound_with_it,
    deleting_leaves_what_was_bound_with_it,
    revoking_ends_a_fault_handler,
];
