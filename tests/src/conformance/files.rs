//! Files that programs leave; the executor is played by hand.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codecrafter_shared::api::{CreateExecution, CreateSession, Execution};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, LeftOutReason, MediaType, OutputFile};
use codecrafter_shared::limits;

use super::executions::request;
use crate::client::Client;
use crate::link::{Link, printed, report};
use crate::world::World;

fn file(name: &str, content: &[u8]) -> OutputFile {
    OutputFile {
        name: name.into(),
        bytes: u32::try_from(content.len()).unwrap_or(u32::MAX),
        data: STANDARD.encode(content),
    }
}

/// Runs `wanted` for `user` so that it leaves these files.
async fn leave(
    world: &World,
    user: &Client,
    wanted: &CreateExecution,
    files: Vec<OutputFile>,
) -> Result<Execution> {
    let execution = user.execute(wanted).await?;
    let link = Link::enrol(world, &execution.language).await?;
    let leases = link.lease(1, 20_000).await?;
    link.acknowledge(&leases).await?;
    let job = &leases.first().context("no lease")?.job;
    let mut ended = printed("");
    if let Event::Finished { outcome } = &mut ended
        && let Some(run) = outcome.runs.first_mut()
    {
        run.files.files = files;
        run.files.leave_out("data.db".into(), LeftOutReason::Type);
    }
    let attempt = AttemptId::random([9; 16]);
    let taken = link.report(vec![report(job, attempt, 0, ended)]).await?;
    ensure!(taken.refused == 0, "{taken:?}");
    user.execution(&execution).await
}

fn path(execution: &Execution, name: &str) -> String {
    format!("/api/v1/executions/{}/files/{name}", execution.id)
}

pub async fn files_come_back_to_whoever_may_see_the_execution(world: World) -> Result<()> {
    let (owner, other) = (world.user().await?, world.user().await?);
    let session = CreateSession {
        title: "Plots".into(),
        language: "bash".into(),
        content: Some("code".into()),
        is_public: Some(true),
        ..Default::default()
    };
    let session = owner.create_session(&session).await?;
    let wanted = CreateExecution {
        session_id: Some(session.id),
        ..Default::default()
    };
    // More than a row holds, and nothing at all.
    let large: Vec<u8> = (0..=u8::MAX).cycle().take(700_000).collect();
    let drawing = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let files = vec![
        file("drawing.svg", drawing),
        file("empty.txt", b""),
        file("plot.png", &large),
    ];
    let ended = leave(&world, &owner, &wanted, files).await?;
    let named: Vec<_> = ended
        .files
        .iter()
        .map(|file| (&*file.name, file.media_type, file.bytes))
        .collect();
    ensure!(
        named
            == [
                ("drawing.svg", MediaType::Svg, 71),
                ("empty.txt", MediaType::Text, 0),
                ("plot.png", MediaType::Png, 700_000),
            ],
        "{named:?}"
    );
    let left_out = &ended.files_left_out;
    ensure!(ended.files_left_out_count == Some(1) && left_out.len() == 1);
    ensure!(left_out[0].name == "data.db" && left_out[0].reason == LeftOutReason::Type);

    let answer = owner.get(&path(&ended, "plot.png")).await?;
    ensure!(
        answer.status == 200 && answer.body == large,
        "{}",
        answer.status
    );
    let answer = owner.get(&path(&ended, "empty.txt")).await?;
    ensure!(answer.status == 200 && answer.body.is_empty());
    let answer = owner.get(&path(&ended, "drawing.svg")).await?;
    ensure!(answer.status == 200 && answer.body == drawing);
    for (header, wanted) in [
        ("content-type", "image/svg+xml"),
        (
            "content-disposition",
            "attachment; filename=\"drawing.svg\"",
        ),
        ("x-content-type-options", "nosniff"),
    ] {
        let value = answer.headers.get(header).context(header)?.to_str()?;
        ensure!(value == wanted, "{header}: {value}");
    }
    let policy = answer.headers.get("content-security-policy");
    let policy = policy.context("no policy")?.to_str()?;
    ensure!(
        policy.starts_with("sandbox; default-src 'none'"),
        "{policy}"
    );

    // Who has not joined sees nothing of it, and who has sees all.
    let refused = other.get(&path(&ended, "plot.png")).await?;
    refused.refused(ErrorCode::ExecutionNotFound)?;
    let stranger = world.stranger().get(&path(&ended, "plot.png")).await?;
    stranger.refused(ErrorCode::TokenMissing)?;
    other.joined(&session).await?;
    let answer = other.get(&path(&ended, "plot.png")).await?;
    ensure!(answer.status == 200 && answer.body == large);
    for missing in [
        "nothing.png",
        "plot.exe",
        "..",
        "drawing.svg%2f..",
        "%00",
        "PLOT.PNG",
    ] {
        let answer = owner.get(&path(&ended, missing)).await?;
        ensure!(answer.status == 404, "{missing}: {}", answer.status);
    }
    Ok(())
}

pub async fn a_file_that_breaks_a_rule_is_left_out_and_the_result_stays(
    world: World,
) -> Result<()> {
    let user = world.user().await?;
    let most = vec![b'x'; limits::OUTPUT_FILE_BYTES_MAX as usize];
    let mut lies = file("lies.txt", b"abc");
    lies.bytes = 1;
    let files = vec![
        file("a.txt", &most),
        file("b.txt", b"b"),
        file("../c.txt", b"c"),
        file("b.txt", b"again"),
        file("page.html", b"<script>"),
        lies,
        file("much.txt", &most),
    ];
    let ended = leave(&world, &user, &request("typescript", "code"), files).await?;
    let names: Vec<_> = ended.files.iter().map(|file| &*file.name).collect();
    ensure!(names == ["a.txt", "b.txt"], "{names:?}");
    ensure!(ended.files_left_out_count == Some(6), "{ended:?}");
    let answer = user.get(&path(&ended, "b.txt")).await?;
    ensure!(answer.status == 200 && answer.body == b"b");
    Ok(())
}
