//! Input for a program while it runs: who may give it, how much, and in which order it is told to
//! the program's host.

use codecrafter_shared::api::InputTaken;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{ControlId, ExecutorId, UserId};
use codecrafter_shared::interaction::{Input, Inputs, Interactive};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::calls::TakeInput;
use super::store::{interactive_column, readable};
use super::view::interactive_of;
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::error::Refusal;
use crate::executors::controls::{self, Message, executor_topic};
use crate::ports::{Row, Tx};

/// [`TakeInput`].
///
/// # Errors
/// [`ErrorCode::ExecutionNotFound`]; [`ErrorCode::Forbidden`] for those who did not ask for it and
/// may not run its session's code; [`ErrorCode::ExecutionNotInteractive`],
/// [`ErrorCode::ExecutionFinished`], [`ErrorCode::InputMissing`], [`ErrorCode::InputEnded`],
/// [`ErrorCode::TooMuchInput`].
pub async fn take(directory: &Directory, call: TakeInput) -> Result<InputTaken, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let (call, id) = (&call, ControlId::at(now, directory.rng.bytes()));
    let (taken, executor) = directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let (row, role) = readable(&tx, tenant, call.execution_id, call.caller).await?;
            let is_own = row.get::<UserId>("user_id")? == call.caller.user_id;
            if !is_own && !role.is_some_and(Role::may_execute) {
                let detail = "needs the role editor, or to have asked for the execution";
                return Err(Refusal::with_detail(ErrorCode::Forbidden, detail));
            }
            let before = State::read(&row)?;
            let Some((inputs, after)) = before.take(&call.inputs, call.after)? else {
                let inputs = before.inputs;
                return Ok((InputTaken { inputs }, None));
            };
            let executor = holder(&tx, tenant, &row).await?;
            let waiting = controls::waiting(&tx, tenant, executor, call.execution_id).await?;
            if waiting >= limits::INPUT_REQUESTS_WAITING_MAX {
                return Err(Refusal::retry_after(ErrorCode::TooMuchInput, 1));
            }
            let inputs = Inputs {
                after: before.inputs,
                inputs: inputs.to_vec(),
            };
            let message = Message {
                id,
                execution: call.execution_id,
                inputs: Some(&inputs),
            };
            controls::send(&tx, tenant, executor, message, now).await?;
            after.write(&tx, tenant, &row).await?;
            let inputs = after.inputs;
            Ok((InputTaken { inputs }, executor))
        })
        .await?;
    if let Some(executor) = executor {
        directory.signals.notify(&executor_topic(executor));
    }
    Ok(taken)
}

/// Who has the job of an execution that has not ended.
async fn holder(tx: &Tx, tenant: &str, execution: &Row) -> Result<Option<ExecutorId>, Refusal> {
    let id: String = execution.get("id")?;
    let sql = "SELECT executor_id FROM job WHERE tenant = ? AND execution_id = ?";
    let job = tx.first(sql, [tenant.into(), id.into()]).await?;
    let job = job.ok_or_else(|| Refusal::internal("an unfinished execution has no job"))?;
    Ok(job.get("executor_id")?)
}

/// What an execution has taken as input so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    interactive: Interactive,
    inputs: u32,
    bytes: u32,
    ended: bool,
}

impl State {
    fn read(row: &Row) -> Result<Self, Refusal> {
        let Some(interactive) = interactive_of(row)? else {
            return Err(Refusal::new(ErrorCode::ExecutionNotInteractive));
        };
        if row.get::<Option<Timestamp>>("finished_at")?.is_some() {
            return Err(Refusal::new(ErrorCode::ExecutionFinished));
        }
        Ok(Self {
            interactive,
            inputs: row.get("inputs")?,
            bytes: row.get("input_bytes")?,
            ended: row.get("input_ended")?,
        })
    }

    /// Which of `inputs`, of which `after` came before, are new, and the state after them; `None`
    /// if they are all known.
    fn take<'a>(
        &self,
        inputs: &'a [Input],
        after: Option<u32>,
    ) -> Result<Option<(&'a [Input], Self)>, Refusal> {
        let known = match after {
            None => 0,
            Some(after) => self.inputs.checked_sub(after).ok_or_else(|| {
                let detail = format!("it has taken {} inputs, not {after}", self.inputs);
                Refusal::with_detail(ErrorCode::InputMissing, detail)
            })?,
        };
        let new = inputs.get(usize::try_from(known).unwrap_or(usize::MAX)..);
        let Some(new) = new.filter(|new| !new.is_empty()) else {
            return Ok(None);
        };
        let mut state = *self;
        for input in new {
            state.add(input)?;
        }
        Ok(Some((new, state)))
    }

    fn add(&mut self, input: &Input) -> Result<(), Refusal> {
        let ended = |why: &str| Err(Refusal::with_detail(ErrorCode::InputEnded, why));
        if self.inputs >= limits::INPUTS_MAX {
            return ended("it has taken as many inputs as one execution may");
        }
        self.inputs = self.inputs.saturating_add(1);
        match input {
            Input::Text { .. } if self.ended => return ended("its input was ended"),
            Input::Text { text } => {
                let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
                self.bytes = self.bytes.saturating_add(bytes);
                if self.bytes > limits::INPUT_BYTES_MAX {
                    return ended("it has taken as much text as one execution may");
                }
            }
            // Only a terminal goes on: there, it is a key, which some programs take as a letter.
            Input::End => self.ended = self.interactive.terminal.is_none(),
            Input::Resize(size) if self.interactive.terminal.is_some() => {
                self.interactive.terminal = Some(*size);
            }
            Input::Signal { .. } | Input::Resize(_) => {}
        }
        Ok(())
    }

    async fn write(&self, tx: &Tx, tenant: &str, execution: &Row) -> Result<(), Refusal> {
        let id: String = execution.get("id")?;
        let sql = "UPDATE execution SET interactive = ?, inputs = ?, input_bytes = ?, \
                   input_ended = ? WHERE tenant = ? AND id = ?";
        let values = [
            interactive_column(Some(&self.interactive))?.into(),
            self.inputs.into(),
            self.bytes.into(),
            i64::from(self.ended).into(),
            tenant.into(),
            id.into(),
        ];
        tx.execute(sql, values).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecrafter_shared::interaction::{Signal, TerminalSize};

    fn state(inputs: u32) -> State {
        State {
            interactive: Interactive::default(),
            inputs,
            bytes: 0,
            ended: false,
        }
    }

    fn text(text: &str) -> Input {
        Input::Text { text: text.into() }
    }

    const INTERRUPT: Input = Input::Signal {
        signal: Signal::Interrupt,
    };

    #[test]
    fn a_repeated_request_adds_only_what_is_new() {
        let inputs = [text("a"), text("b"), text("c")];
        let (new, after) = state(5).take(&inputs, Some(3)).unwrap().unwrap();
        assert_eq!((new, after.inputs, after.bytes), (&inputs[2..], 6, 1));
        assert_eq!(state(6).take(&inputs, Some(3)).unwrap(), None);
        assert_eq!(state(90).take(&inputs, Some(3)).unwrap(), None);
        let (new, after) = state(5).take(&inputs, None).unwrap().unwrap();
        assert_eq!((new, after.inputs, after.bytes), (&inputs[..], 8, 3));
    }

    #[test]
    fn a_gap_is_refused_with_what_is_known() {
        let refusal = state(5).take(&[text("a")], Some(6)).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InputMissing);
        assert_eq!(refusal.detail.unwrap(), "it has taken 5 inputs, not 6");
    }

    #[test]
    fn after_its_end_there_is_no_text_but_signals() {
        let (_, ended) = state(0)
            .take(&[text("a"), Input::End], None)
            .unwrap()
            .unwrap();
        let refusal = ended.take(&[text("b")], None).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InputEnded);
        assert!(ended.take(&[INTERRUPT], None).unwrap().is_some());
        let refusal = state(0).take(&[Input::End, text("b")], None).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InputEnded);
    }

    #[test]
    fn a_terminal_has_its_newest_size_and_no_end() {
        let size = |columns| TerminalSize { columns, rows: 24 };
        let mut on_terminal = state(0);
        on_terminal.interactive.terminal = Some(size(80));
        let inputs = [Input::Resize(size(100)), Input::End, text("a")];
        let (_, after) = on_terminal.take(&inputs, None).unwrap().unwrap();
        assert_eq!(after.interactive.terminal, Some(size(100)));
        let (_, without) = state(0)
            .take(&[Input::Resize(size(100))], None)
            .unwrap()
            .unwrap();
        assert_eq!(without.interactive.terminal, None);
    }

    #[test]
    fn an_execution_takes_so_much_and_no_more() {
        let most = limits::INPUT_BYTES_MAX as usize;
        assert!(state(0).take(&[text(&"x".repeat(most))], None).is_ok());
        let refusal = state(0)
            .take(&[text(&"x".repeat(most + 1))], None)
            .unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InputEnded);
        assert!(
            state(limits::INPUTS_MAX - 1)
                .take(&[INTERRUPT], None)
                .is_ok()
        );
        let refusal = state(limits::INPUTS_MAX)
            .take(&[INTERRUPT], None)
            .unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InputEnded);
    }
}
