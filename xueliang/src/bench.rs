//! `xueliang bench`: what this box carries. The measurements are in their own crate; here only Ctrl-C is wired.

use xueliang_bench::args::BenchArgs;

/// Runs until done or interrupted; a second signal ends at once.
pub fn run(args: BenchArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let shutdown = runtime.block_on(async { crate::shutdown::on_signal() })?;
    runtime.spawn(async move {
        shutdown.cancelled().await;
        xueliang_bench::interrupt();
    });
    xueliang_bench::run(args)
}
