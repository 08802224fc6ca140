//! Ctrl-C while no text is being typed. It ends what runs, never the program.

use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Tells of Ctrl-C. Clones are told each for themselves.
#[derive(Debug, Clone)]
pub struct Interrupts(watch::Receiver<()>);

impl Interrupts {
    /// From now on Ctrl-C does not end the program any more. Where the system cannot tell of it,
    /// it stays as it was.
    pub fn listen(runtime: &Runtime) -> Self {
        let (tell, told) = watch::channel(());
        runtime.spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && tell.send(()).is_ok() {}
        });
        Self(told)
    }

    /// None ever comes.
    #[cfg(test)]
    pub fn none() -> Self {
        Self(watch::channel(()).1)
    }

    /// What came until now does not count.
    pub fn forget(&mut self) {
        self.0.mark_unchanged();
    }

    /// Whether one came.
    pub fn came(&self) -> bool {
        self.0.has_changed().unwrap_or(false)
    }

    /// Waits for the next.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
