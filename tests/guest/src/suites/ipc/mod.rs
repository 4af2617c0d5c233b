//! Messages: what travels, and every way in which a call ends.

mod calls;
mod ends;
mod floating;
mod handover;
mod registers;
mod replies;
mod signals;

use crate::run::{Case, cases};
use calls::*;
use ends::*;
use floating::*;
use handover::*;
use registers::*;
use replies::*;
use signals::*;

pub(crate) const CASES: &[Case] = cases![
    unknown_flags_are_refused,
    impossible_counts_are_refused,
    words_travel_both_ways,
    bytes_travel_both_ways,
    a_full_buffer_travels_both_ways,
    capabilities_travel_both_ways,
    a_server_error_is_the_servers,
    requests_have_ids_that_grow,
    a_repeat_keeps_its_request_id,
    a_recorded_operation_runs_once,
    an_earlier_version_of_an_interface_is_served,
    a_deadline_before_delivery_is_timed_out,
    a_deadline_in_the_past_is_timed_out_at_once,
    a_deadline_after_delivery_is_timed_out_delivered,
    a_server_that_sleeps_still_answers,
    a_late_answer_is_refused,
    a_queued_call_ends_died_when_the_endpoint_closes,
    a_queued_call_ends_died_with_the_last_receiver,
    a_received_call_ends_died_with_its_thread,
    a_received_call_ends_died_with_its_task,
    a_request_that_is_received_over_ends_dropped,
    a_kept_reply_that_is_deleted_ends_dropped,
    cancelling_ends_any_wait,
    a_message_that_is_too_short_is_malformed,
    unknown_operations_and_interfaces_are_version_mismatch,
    a_session_has_a_limit_of_calls_in_flight,
    calling_the_endpoint_that_one_serves_alone_is_a_deadlock,
    a_capability_needs_an_open_slot,
    only_a_proxy_answers_with_a_transport_error,
    a_kept_reply_is_answered_by_another_thread,
    a_kept_reply_is_moved_to_another_task,
    a_kept_reply_cannot_be_derived_or_installed,
    a_reply_without_a_request_is_refused,
    a_deferred_operation_reads_its_lease_later,
    a_reply_and_the_next_receive_are_one_call,
    a_kept_reply_and_the_next_receive_are_one_call,
    signals_add_up_and_come_first,
    a_signal_wakes_who_waits,
    a_signal_that_came_meanwhile_comes_with_the_answer,
    signalling_and_receiving_need_their_rights,
    sleep_lasts_as_long_as_it_should,
    a_badge_tells_callers_apart,
    only_who_receives_mints,
    closed_comes_after_the_last_copy,
    closed_comes_when_the_holder_is_killed,
    live_sessions_can_be_listed,
    a_paused_endpoint_queues_until_it_resumes,
    expelling_hands_the_endpoint_to_a_successor,
    a_predecessor_cannot_wait_again,
    a_closed_endpoint_stays_closed,
    caller_saved_registers_are_cleared,
    a_message_leaves_no_more_in_registers,
    callee_saved_registers_are_kept,
    floating_point_is_dropped_by_a_call,
    floating_point_survives_preemption,
    floating_point_does_not_leak_between_tasks,
];
