//! CairnDB through `tokio-postgres`, a driver that knows PostgreSQL only: connect, migrate, insert, query, transactions,
//! COPY, errors. `cargo xtask clients` starts a server and runs this; by hand:
//!
//! ```text
//! cairn serve /tmp/db &
//! CAIRN_HOST=/tmp/db CAIRN_PORT=5432 cargo run
//! ```
#![allow(clippy::unwrap_used)]

mod copy;
mod notifications;
mod opening;
mod queries;
mod support;
mod transactions;

#[tokio::main]
async fn main() {
    macro_rules! run {
        ($($module:ident::$name:ident),* $(,)?) => {
            $(
                support::clean().await;
                $module::$name().await;
                println!("{}::{} ok", stringify!($module), stringify!($name));
            )*
        };
    }
    run!(
        queries::values_of_every_type_go_there_and_back_in_binary,
        queries::statements_are_described_before_they_run,
        queries::a_large_result_streams_and_may_be_left,
        queries::errors_have_postgresqls_fields_and_the_session_goes_on,
        queries::simple_queries_give_text_and_tags,
        queries::many_statements_are_sent_ahead,
        transactions::the_statements_of_one_query_are_one_transaction,
        transactions::a_failed_block_takes_nothing_but_its_end,
        transactions::a_client_that_goes_away_leaves_nothing_behind,
        transactions::parameters_are_told_when_they_change,
        notifications::messages_arrive_when_their_transaction_commits,
        copy::rows_are_copied_in_and_out,
        copy::rows_are_copied_in_binary,
        copy::a_copy_that_fails_leaves_no_row_and_a_sound_session,
        opening::no_one_comes_in_without_the_password,
        opening::a_session_begins_with_what_it_is_told,
        opening::a_statement_is_cancelled_by_whoever_knows_its_secret,
    );
}
