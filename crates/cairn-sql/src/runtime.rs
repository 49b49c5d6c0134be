//! Threads with big stacks. Parsing, planning and running recurse over the statement's tree, and DataFusion
//! aborts the process when a stack ends; the guard bounds the tree, and these threads have room for it.
//!
//! A tokio runtime is created at the first use. Statements run on its blocking pool as ordinary synchronous
//! code ([`Runtime::run`]), which may wait for DataFusion's streams with [`Runtime::wait`]; the streams'
//! own tasks run on its workers. Stacks are reserved address space: memory is used only as deep as it goes.
//!
//! Timers have a thread of their own ([`Runtime::timers`]): the workers may all be busy in operators that do not pause.
//!
//! I1: `wait` is called from the blocking pool or from a thread outside of any async runtime.
//! I2: a statement that waits for a lock has a thread of the blocking pool; there are enough for every session to wait,
//! so that the one that is waited for has one too.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use crate::{Error, Result};

/// Stack of each thread, in bytes of address space.
const STACK_BYTES: usize = 512 << 20;
/// Threads of the blocking pool, at most (I2). They are started as needed and end when idle.
const BLOCKING_THREADS_MAX: usize = 16 << 10;

/// The lazily created runtime; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    workers: usize,
    tokio: OnceLock<Option<tokio::runtime::Runtime>>,
    timers: OnceLock<Option<tokio::runtime::Runtime>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Dropping a runtime waits for its blocking tasks, which panics on an async thread: let them go.
        for runtime in [self.tokio.take(), self.timers.take()] {
            if let Some(Some(runtime)) = runtime {
                runtime.shutdown_background();
            }
        }
    }
}

impl Runtime {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                workers: workers.max(1),
                tokio: OnceLock::new(),
                timers: OnceLock::new(),
            }),
        }
    }

    /// The runtime's handle.
    ///
    /// # Errors
    /// `53000` when the system gives no threads.
    pub(crate) fn handle(&self) -> Result<&tokio::runtime::Handle> {
        let workers = self.inner.workers;
        self.inner
            .tokio
            .get_or_init(|| {
                tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(workers)
                    .thread_stack_size(STACK_BYTES)
                    .max_blocking_threads(BLOCKING_THREADS_MAX)
                    .enable_time()
                    .thread_name("cairn-sql")
                    .build()
                    .ok()
            })
            .as_ref()
            .map(tokio::runtime::Runtime::handle)
            .ok_or_else(|| Error::new("53000", "no threads for queries could be started"))
    }

    /// Where timers run: on a thread that does nothing else, so that they go off in time.
    ///
    /// # Errors
    /// `53000` when the system gives no thread.
    pub(crate) fn timers(&self) -> Result<&tokio::runtime::Handle> {
        self.inner
            .timers
            .get_or_init(|| {
                tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_time()
                    .thread_name("cairn-timer")
                    .build()
                    .ok()
            })
            .as_ref()
            .map(tokio::runtime::Runtime::handle)
            .ok_or_else(|| Error::new("53000", "no thread for timers could be started"))
    }

    /// Runs synchronous code on a thread with a big stack and waits for it. A panic comes back as an error.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (send, receive) = tokio::sync::oneshot::channel();
        self.handle()?.spawn_blocking(move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            // The receiver is gone only when the caller unwinds.
            let _ = send.send(outcome.unwrap_or_else(|panic| Err(panicked(&panic))));
        });
        block_on(receive).unwrap_or_else(|_| Err(Error::internal("the query thread ended")))
    }

    /// The same for an async caller.
    pub(crate) async fn run_async<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (send, receive) = tokio::sync::oneshot::channel();
        self.handle()?.spawn_blocking(move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            let _ = send.send(outcome.unwrap_or_else(|panic| Err(panicked(&panic))));
        });
        receive.await.unwrap_or_else(|_| Err(Error::internal("the query thread ended")))
    }

    /// Waits for a future of DataFusion inside [`Runtime::run`].
    pub(crate) fn wait<F: Future>(&self, future: F) -> Result<F::Output> {
        let _entered = self.handle()?.enter();
        Ok(block_on(future))
    }
}

/// The message of a panic as an internal error.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".to_owned());
    Error::internal(format!("a query panicked: {text}"))
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Drives a future on this thread, in whatever context the thread is.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
