//! Undoes a case, newest step first: shown at the first word, done at the second. The driver is `tourniquet::release`.

use lambda_runtime::{Error, run, service_fn};
use tourniquet::release::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tourniquet::config::log_as_json();
    let function = Function::from_env().await?;
    run(service_fn(|event| function.handle(event))).await
}
