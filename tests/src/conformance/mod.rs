//! The promises of the HTTP API, one function each. The list is the contract: a platform on which
//! one is missing or broken does not conform.

mod accounts;
mod bad_input;
mod chat;
mod content;
mod document;
mod executions;
mod executors;
mod files;
mod history;
mod input;
mod limits;
mod listing;
mod notifications;
mod participants;
mod service;
mod sessions;
mod streams;
mod traces;
mod versions;

use anyhow::Result;
use futures_util::future::BoxFuture;

use crate::world::World;

/// `CODECRAFTER_LIMITS` of a deployment under test: two promises are about somebody who has more
/// sessions than anybody makes in an hour. `xtask` gives its stacks the same.
pub const LIMITS: &str = "sessions=250/1h,join=110/5m";

/// One promise.
pub struct Case {
    /// What is promised.
    pub name: &'static str,
    /// Tries it; an error says how it was broken.
    pub run: fn(World) -> BoxFuture<'static, Result<()>>,
}

macro_rules! cases {
    ($($module:ident: $($name:ident,)+;)+) => {
        /// Every promise.
        pub const CASES: &[Case] = &[$($(
            Case { name: stringify!($name), run: |world| Box::pin($module::$name(world)) },
        )+)+];
    };
}

cases! {
    service:
        the_service_says_that_it_lives_and_is_ready,
        languages_are_listed_with_what_is_offered,
        public_keys_are_published_and_private_ones_are_not,
        every_answer_carries_security_headers_and_an_id,
        the_api_describes_itself,
        the_short_prefix_is_the_same_api,;
    accounts:
        registering_signs_in,
        signing_in_takes_the_name_or_the_mail_address_in_any_case,
        a_wrong_password_and_an_unknown_user_get_the_same_answer,
        a_taken_name_or_mail_address_is_a_conflict,
        every_wrong_field_of_a_registration_is_named,
        a_refresh_token_is_good_once_and_its_reuse_ends_the_login,
        logging_out_ends_the_access_token_at_once,;
    sessions:
        a_session_is_created_read_changed_and_deleted,
        sessions_are_listed_in_pages_newest_change_first,
        a_private_session_of_others_is_not_there,
        a_public_session_is_joined_with_its_role_once,
        a_full_session_takes_nobody_else,
        one_user_owns_so_many_sessions,
        one_login_has_tokens_for_so_many_rooms,
        a_viewer_changes_nothing_and_runs_nothing,
        a_lock_raises_the_access_version,;
    listing:
        public_sessions_are_listed_for_everybody,
        words_are_found_in_title_and_description_in_any_case,
        a_list_asked_for_wrongly_is_told_how,;
    participants:
        somebody_is_added_to_a_private_session_by_name,
        participants_manage_those_below_them_and_nobody_the_owner,
        changes_of_participants_raise_the_access_version_once,
        who_leaves_or_is_removed_is_out,
        leaving_and_joining_undoes_nothing_that_an_admin_has_decided,
        only_the_owner_hands_a_session_over,
        the_last_place_is_taken_by_one,
        of_changes_at_once_one_wins_and_the_session_stays_sound,
        participants_of_others_cannot_be_told_or_touched,
        bad_requests_about_participants_are_named,;
    content:
        the_content_is_read_and_written_as_a_whole,
        equal_content_has_an_equal_tag_and_is_not_sent_again,
        nothing_is_written_over_content_that_has_changed,
        writes_at_once_are_all_taken_one_after_the_other,
        who_may_edit_writes_the_content_and_who_sees_the_session_reads_it,
        content_beyond_its_limits_is_named,
        what_was_written_is_what_runs,;
    history:
        the_history_tells_who_has_changed_what_and_when_page_by_page,
        many_edits_are_told_as_they_were_after_the_room_has_made_one_state_of_them,
        whoever_may_read_versions_may_read_the_history,
        a_moment_of_the_history_is_brought_back_or_forked,
        a_page_of_the_history_is_bounded,;
    versions:
        a_version_keeps_the_text_of_its_moment,
        versions_are_compared_line_by_line,
        restoring_brings_a_text_back_and_keeps_what_it_takes_the_place_of,
        roles_and_locks_hold_for_versions,
        versions_have_limits,
        a_session_is_forked_from_any_version,;
    chat:
        participants_of_any_role_talk_and_read_in_pages,
        a_repeated_message_is_there_once,
        messages_are_deleted_by_their_author_and_by_admins,
        the_chat_is_for_participants,
        messages_have_limits,;
    notifications:
        who_is_added_changed_locked_out_or_removed_is_told,
        notifications_are_read_in_pages_and_each_person_has_their_own,
        a_feed_tells_what_is_new_and_goes_on_where_it_was,
        a_feed_is_opened_by_its_own_token_and_ends_with_the_login,
        a_run_that_ends_while_its_owner_is_away_is_told_to_them,
        who_is_named_in_a_chat_is_told_once,
        participants_see_which_of_them_are_online,;
    streams:
        frames_are_taken_whole_and_for_a_connection_that_is_there,;
    executions:
        an_execution_waits_for_an_executor_and_ends_when_one_joins,
        waiting_for_an_execution_ends_with_its_result,
        a_session_runs_its_own_document,
        an_execution_of_others_is_not_there,
        what_was_expected_goes_with_the_job_and_all_that_holds_is_told,
        output_that_is_not_text_is_given_as_base64,
        of_long_output_beginning_and_end_are_kept,
        unfinished_executions_are_limited,
        executions_are_listed_newest_first_without_their_output,
        a_session_shows_its_participants_what_ran_in_it,
        what_waits_is_cancelled_at_once,
        what_an_executor_has_is_cancelled_by_it,
        only_who_asked_and_admins_of_the_session_cancel,
        limits_of_a_request_are_kept_or_named_with_their_range,;
    traces:
        a_trace_goes_from_the_request_to_the_job_and_is_told,
        no_answer_waits_for_a_collector_of_spans,;
    input:
        what_is_typed_reaches_the_executor_in_order_and_once,
        what_is_typed_before_an_executor_has_it_goes_along,
        a_repeated_request_types_nothing_twice,
        only_who_asked_and_those_who_may_run_the_code_type,
        input_is_for_interactive_runs_that_go_on,
        input_that_nobody_takes_is_pushed_back,
        a_link_that_cannot_pass_input_on_gets_no_interactive_job,
        few_runs_of_one_user_are_interactive,;
    files:
        files_come_back_to_whoever_may_see_the_execution,
        a_file_that_breaks_a_rule_is_left_out_and_the_result_stays,;
    executors:
        a_job_is_leased_to_one_executor_only,
        the_first_final_result_stays,
        an_attempt_that_was_lost_is_followed_by_another,
        reports_need_the_token_of_their_execution,
        a_link_must_sign_what_it_sends,
        a_link_of_another_age_is_told_so,
        enrolling_needs_the_join_token,
        a_lease_whose_answer_was_lost_comes_again,
        a_newer_request_for_leases_ends_the_older,
        jobs_go_where_their_language_runs_the_oldest_first,
        operators_see_executors_and_send_them_away,
        executors_are_the_operators_business_alone,;
    limits:
        one_address_makes_so_many_accounts_and_nobody_else_is_held_up,
        of_strangers_requests_at_once_exactly_so_many_pass,
        what_a_client_writes_of_itself_gives_it_no_other_address,
        who_guesses_passwords_gets_slower_and_the_owner_is_not_held_up,
        a_user_is_counted_as_one_whatever_their_address,
        a_feed_is_opened_so_often_and_says_when_to_come_again,
        operators_see_how_many_requests_a_limit_has_refused,
        answers_under_limits_say_how_they_stand,;
    bad_input:
        what_is_not_json_is_told_apart_from_what_is_not_valid,
        a_body_over_the_limit_is_refused,
        tokens_that_are_missing_forged_or_expired_are_refused,
        an_identity_header_from_outside_changes_nothing,
        unknown_languages_routes_and_methods_are_named,
        files_of_an_execution_stay_in_their_folder,;
}
