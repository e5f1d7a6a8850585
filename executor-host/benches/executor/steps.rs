//! Where the time of many runs went.

use crate::ours::Run;
use crate::report::Samples;

/// The times of each step.
#[derive(Default)]
pub struct Steps {
    pub queue: Samples,
    pub dispatch: Samples,
    pub compile: Samples,
    pub inside: Samples,
    pub rest: Samples,
    pub publish: Samples,
    pub total: Samples,
}

impl Steps {
    pub fn push(&mut self, run: &Run) {
        self.queue.push(run.queue);
        self.dispatch.push(run.dispatch);
        if let Some(compile) = run.compile {
            self.compile.push(compile);
        }
        self.inside.push(run.inside);
        self.rest.push(run.rest);
        self.publish.push(run.publish);
        self.total.push(run.total);
    }
}
