//! Keeps Tourniquet's buttons in Security Hub, as a custom resource of the stack. The driver is `tourniquet::register`.

use lambda_runtime::{Error, run, service_fn};
use tourniquet::register::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tourniquet::config::log_as_json();
    let function = Function::from_env().await?;
    run(service_fn(|event| function.handle(event))).await
}
