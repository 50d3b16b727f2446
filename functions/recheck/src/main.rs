//! Looks whether a containment still holds. The driver is `tourniquet::recheck`.

use lambda_runtime::{Error, run, service_fn};
use tourniquet::recheck::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tourniquet::config::log_as_json();
    let function = Function::from_env().await?;
    run(service_fn(|event| function.handle(event))).await
}
