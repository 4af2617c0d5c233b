//! The one table of in-guest suites and cases.

/// A suite: cases that run one after another in one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Its name, the third part of a case's full name.
    pub name: &'static str,
    /// The system page that it runs in: `tests/systems/SYSTEM.toml`.
    pub system: &'static str,
    /// Names of its cases, in the order in which they run.
    pub cases: &'static [&'static str],
}

/// All suites.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "ipc",
        system: "suite",
        cases: &[
            "unknown_flags_are_refused",
            "impossible_counts_are_refused",
            "words_travel_both_ways",
            "bytes_travel_both_ways",
            "a_full_buffer_travels_both_ways",
            "capabilities_travel_both_ways",
            "a_server_error_is_the_servers",
            "requests_have_ids_that_grow",
            "a_deadline_before_delivery_is_timed_out",
            "a_deadline_in_the_past_is_timed_out_at_once",
            "a_deadline_after_delivery_is_timed_out_delivered",
            "a_server_that_sleeps_still_answers",
            "a_late_answer_is_refused",
            "a_queued_call_ends_died_when_the_endpoint_closes",
            "a_queued_call_ends_died_with_the_last_receiver",
            "a_received_call_ends_died_with_its_thread",
            "a_received_call_ends_died_with_its_task",
            "a_request_that_is_received_over_ends_dropped",
            "a_kept_reply_that_is_deleted_ends_dropped",
            "cancelling_ends_any_wait",
            "a_message_that_is_too_short_is_malformed",
            "unknown_operations_and_interfaces_are_version_mismatch",
            "a_session_has_a_limit_of_calls_in_flight",
            "a_capability_needs_an_open_slot",
            "only_a_proxy_answers_with_a_transport_error",
            "a_kept_reply_is_answered_by_another_thread",
            "a_kept_reply_is_moved_to_another_task",
            "a_kept_reply_cannot_be_derived_or_installed",
            "a_reply_without_a_request_is_refused",
            "a_deferred_operation_reads_its_lease_later",
            "a_reply_and_the_next_receive_are_one_call",
            "signals_add_up_and_come_first",
            "a_signal_wakes_who_waits",
            "signalling_and_receiving_need_their_rights",
            "sleep_lasts_as_long_as_it_should",
            "a_badge_tells_callers_apart",
            "only_who_receives_mints",
            "closed_comes_after_the_last_copy",
            "closed_comes_when_the_holder_is_killed",
            "live_sessions_can_be_listed",
            "a_paused_endpoint_queues_until_it_resumes",
            "expelling_hands_the_endpoint_to_a_successor",
            "a_closed_endpoint_stays_closed",
            "caller_saved_registers_are_cleared",
            "callee_saved_registers_are_kept",
            "floating_point_is_dropped_by_a_call",
            "floating_point_survives_preemption",
            "floating_point_does_not_leak_between_tasks",
        ],
    },
    Suite {
        name: "capabilities",
        system: "suite",
        cases: &[
            "a_handle_with_any_bit_changed_is_denied",
            "random_handles_are_denied",
            "a_stale_handle_is_denied",
            "handles_of_another_task_mean_nothing",
            "an_object_of_another_type_is_refused",
            "the_pseudo_handles_allow_only_what_they_say",
            "rights_of_memory",
            "rights_of_endpoints",
            "rights_of_tasks",
            "rights_of_threads",
            "rights_of_the_machine",
            "rights_of_interrupts",
            "derivation_never_adds_rights",
            "far_only_is_added_and_kept",
            "nobody_makes_what_outranks_him",
            "passing_on_needs_grant",
            "rights_can_be_lost_on_the_way",
            "transfer_is_all_or_nothing",
            "one_capability_is_not_moved_twice",
            "losing_the_last_right_to_receive_on_the_way_is_safe",
            "another_tasks_table_can_be_filled_and_emptied",
            "a_table_grows_and_uses_its_slots_again",
            "a_table_is_listed_as_it_is",
            "a_table_that_cannot_grow_refuses_and_gives_all_back",
        ],
    },
];

impl Suite {
    /// The suite of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SUITES.iter().find(|suite| suite.name == name)
    }

    /// The place of a case in the suite.
    pub fn index(&self, case: &str) -> Option<usize> {
        self.cases.iter().position(|name| *name == case)
    }
}
