//! Who is in a session, and as what.

use anyhow::{Result, ensure};
use codecrafter_shared::api::{
    AddParticipant, ChangeRole, CreateSession, Participant, Session, TransferSession,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::UserId;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;
use futures_util::future::{join, join_all};
use reqwest::Method;

use crate::client::{Answer, Client};
use crate::world::World;

const ROLES: [Role; 4] = [Role::Viewer, Role::Editor, Role::Admin, Role::Owner];

fn path(session: &Session) -> String {
    format!("/api/v1/sessions/{}", session.id)
}

fn of(session: &Session, user_id: UserId) -> String {
    format!("{}/participants/{user_id}", path(session))
}

fn id(client: &Client) -> Result<UserId> {
    Ok(client.user()?.id)
}

async fn add(by: &Client, session: &Session, who: &Client, role: Option<Role>) -> Result<Answer> {
    let request = AddParticipant {
        username: who.user()?.username.clone(),
        role,
    };
    by.post(&format!("{}/participants", path(session)), &request)
        .await
}

async fn change(by: &Client, session: &Session, who: UserId, role: Role) -> Result<Answer> {
    let request = ChangeRole { role };
    by.json(Method::PUT, &of(session, who), &request).await
}

async fn remove(by: &Client, session: &Session, who: UserId) -> Result<Answer> {
    by.send(by.request(Method::DELETE, &of(session, who))).await
}

async fn leave(who: &Client, session: &Session) -> Result<Answer> {
    let path = format!("{}/leave", path(session));
    who.send(who.request(Method::POST, &path)).await
}

async fn transfer(by: &Client, session: &Session, user_id: UserId) -> Result<Answer> {
    let path = format!("{}/transfer", path(session));
    by.post(&path, &TransferSession { user_id }).await
}

async fn seen(by: &Client, session: &Session) -> Result<Session> {
    by.get(&path(session)).await?.expect(200)
}

fn done(answer: &Answer) -> Result<()> {
    let body = String::from_utf8_lossy(&answer.body);
    ensure!(
        answer.status == 204 && body.is_empty(),
        "wanted 204, got {}: {body}",
        answer.status
    );
    Ok(())
}

fn role_of(session: &Session, user_id: UserId) -> Option<Role> {
    let mut participants = session.participants.iter();
    participants
        .find(|p| p.user_id == user_id)
        .map(|participant| participant.role)
}

/// What holds of every session at any time.
fn sound(session: &Session) -> Result<()> {
    let owners = session
        .participants
        .iter()
        .filter(|p| p.role == Role::Owner);
    let owners: Vec<UserId> = owners.map(|p| p.user_id).collect();
    ensure!(owners == [session.owner_id], "one owner: {session:?}");
    ensure!(
        session.participants.len() <= session.max_participants as usize,
        "too many: {session:?}"
    );
    Ok(())
}

async fn private(owner: &Client) -> Result<Session> {
    let request = CreateSession {
        title: "Ours".into(),
        language: "python".into(),
        ..Default::default()
    };
    owner.create_session(&request).await
}

/// A private session with one participant of each role, from viewer to owner.
async fn staffed(world: &World) -> Result<(Session, [Client; 4])> {
    let people = [
        world.user().await?,
        world.user().await?,
        world.user().await?,
        world.user().await?,
    ];
    let owner = &people[3];
    let session = private(owner).await?;
    for (who, role) in people.iter().zip(ROLES).take(3) {
        let added: Participant = add(owner, &session, who, Some(role)).await?.expect(201)?;
        ensure!(added.user_id == id(who)? && added.role == role, "{added:?}");
    }
    Ok((seen(owner, &session).await?, people))
}

pub async fn somebody_is_added_to_a_private_session_by_name(world: World) -> Result<()> {
    let (owner, guest) = (world.user().await?, world.user().await?);
    let session = private(&owner).await?;
    let request = AddParticipant {
        username: guest.user()?.username.to_uppercase(),
        role: None,
    };
    let at = format!("{}/participants", path(&session));
    let answer = owner.post(&at, &request).await?;
    let location = answer.headers.get("location").cloned();
    let added: Participant = answer.expect(201)?;
    ensure!(
        added.role == Role::Viewer && added.user_id == id(&guest)?,
        "{added:?}"
    );
    ensure!(
        location
            .is_some_and(|location| location.as_bytes() == of(&session, added.user_id).as_bytes())
    );
    let theirs = seen(&guest, &session).await?;
    ensure!(theirs.role == Some(Role::Viewer), "{theirs:?}");
    ensure!(
        theirs.access_version == session.access_version + 1,
        "{theirs:?}"
    );
    guest.joined(&session).await?;

    add(&owner, &session, &guest, None)
        .await?
        .refused(ErrorCode::AlreadyParticipant)?;
    add(&owner, &session, &owner, None)
        .await?
        .refused(ErrorCode::AlreadyParticipant)?;
    let nobody = AddParticipant {
        username: world.name(),
        role: None,
    };
    owner
        .post(&at, &nobody)
        .await?
        .refused(ErrorCode::UserNotFound)?;
    Ok(())
}

pub async fn participants_manage_those_below_them_and_nobody_the_owner(world: World) -> Result<()> {
    let (session, people) = staffed(&world).await?;
    let spare = world.user().await?;
    for (who, theirs) in people.iter().zip(ROLES) {
        for (target, present) in people.iter().zip(ROLES) {
            if id(who)? == id(target)? {
                continue;
            }
            for granted in [Role::Viewer, Role::Editor, Role::Admin] {
                let answer = change(who, &session, id(target)?, granted).await?;
                if theirs.may_manage(present) && theirs.may_grant(granted) {
                    let changed: Participant = answer.expect(200)?;
                    ensure!(changed.role == granted, "{changed:?}");
                    // As it was, for the next one.
                    let back = change(&people[3], &session, id(target)?, present).await?;
                    back.expect::<Participant>(200)?;
                } else {
                    answer.refused(ErrorCode::Forbidden)?;
                }
            }
            if !theirs.may_manage(present) {
                remove(who, &session, id(target)?)
                    .await?
                    .refused(ErrorCode::Forbidden)?;
            }
        }
        for granted in [Role::Viewer, Role::Editor, Role::Admin] {
            let answer = add(who, &session, &spare, Some(granted)).await?;
            if theirs.may_grant(granted) {
                answer.expect::<Participant>(201)?;
                let gone = remove(&people[3], &session, id(&spare)?).await?;
                done(&gone)?;
            } else {
                answer.refused(ErrorCode::Forbidden)?;
            }
        }
    }
    let session = seen(&people[3], &session).await?;
    sound(&session)?;
    let roles: Vec<_> = people
        .iter()
        .map(|who| Ok(role_of(&session, id(who)?)))
        .collect::<Result<_>>()?;
    ensure!(roles == ROLES.map(Some), "{roles:?}");
    // Not even of oneself.
    change(&people[2], &session, id(&people[2])?, Role::Viewer)
        .await?
        .refused(ErrorCode::Forbidden)?;
    Ok(())
}

pub async fn changes_of_participants_raise_the_access_version_once(world: World) -> Result<()> {
    let (session, [viewer, editor, admin, owner]) = staffed(&world).await?;
    let mut version = session.access_version;
    let mut raised = async |by: u64| {
        let now = seen(&owner, &session).await?;
        sound(&now)?;
        ensure!(
            now.access_version == version + by,
            "{version}, then {now:?}"
        );
        version = now.access_version;
        Ok(())
    };
    change(&admin, &session, id(&viewer)?, Role::Editor)
        .await?
        .expect::<Participant>(200)?;
    raised(1).await?;
    change(&admin, &session, id(&viewer)?, Role::Editor)
        .await?
        .expect::<Participant>(200)?;
    raised(0).await?;
    done(&remove(&admin, &session, id(&viewer)?).await?)?;
    raised(1).await?;
    done(&leave(&editor, &session).await?)?;
    raised(1).await?;
    transfer(&owner, &session, id(&owner)?)
        .await?
        .expect::<Session>(200)?;
    raised(0).await?;
    transfer(&owner, &session, id(&admin)?)
        .await?
        .expect::<Session>(200)?;
    raised(1).await?;
    Ok(())
}

pub async fn who_leaves_or_is_removed_is_out(world: World) -> Result<()> {
    let (session, [viewer, editor, admin, owner]) = staffed(&world).await?;
    done(&leave(&viewer, &session).await?)?;
    // Of oneself, it is the same.
    done(&remove(&editor, &session, id(&editor)?).await?)?;
    done(&remove(&owner, &session, id(&admin)?).await?)?;
    let not_found = ErrorCode::SessionNotFound;
    for gone in [&viewer, &editor, &admin] {
        gone.get(&path(&session)).await?.refused(not_found)?;
        gone.join(&session).await?.refused(not_found)?;
        leave(gone, &session).await?.refused(not_found)?;
        remove(gone, &session, id(gone)?)
            .await?
            .refused(not_found)?;
    }
    remove(&owner, &session, id(&viewer)?)
        .await?
        .refused(ErrorCode::ParticipantNotFound)?;
    change(&owner, &session, id(&viewer)?, Role::Editor)
        .await?
        .refused(ErrorCode::ParticipantNotFound)?;
    leave(&owner, &session)
        .await?
        .refused(ErrorCode::OwnerStays)?;
    remove(&owner, &session, id(&owner)?)
        .await?
        .refused(ErrorCode::OwnerStays)?;
    let left = seen(&owner, &session).await?;
    ensure!(left.participants.len() == 1, "{left:?}");

    // Who was removed may be added again, and who has left a public session joins it again.
    add(&owner, &session, &viewer, Some(Role::Editor))
        .await?
        .expect::<Participant>(201)?;
    let public = world.public_session(&owner, Role::Viewer).await?;
    leave(&viewer, &public)
        .await?
        .refused(ErrorCode::ParticipantNotFound)?;
    viewer.joined(&public).await?;
    done(&leave(&viewer, &public).await?)?;
    let again = viewer.joined(&public).await?;
    ensure!(again.session.participants.len() == 2, "{again:?}");
    Ok(())
}

pub async fn leaving_and_joining_undoes_nothing_that_an_admin_has_decided(
    world: World,
) -> Result<()> {
    let (owner, guest) = (world.user().await?, world.user().await?);
    let session = world.public_session(&owner, Role::Editor).await?;
    let role = async || -> Result<Option<Role>> { Ok(guest.joined(&session).await?.session.role) };
    ensure!(role().await? == Some(Role::Editor));
    change(&owner, &session, id(&guest)?, Role::Viewer)
        .await?
        .expect::<Participant>(200)?;
    for _ in 0..2 {
        done(&leave(&guest, &session).await?)?;
        ensure!(
            role().await? == Some(Role::Viewer),
            "a viewer is back as more"
        );
    }
    // A role above the one of joining is given, not kept.
    change(&owner, &session, id(&guest)?, Role::Admin)
        .await?
        .expect::<Participant>(200)?;
    done(&leave(&guest, &session).await?)?;
    ensure!(role().await? == Some(Role::Editor));

    done(&remove(&owner, &session, id(&guest)?).await?)?;
    for _ in 0..2 {
        guest
            .join(&session)
            .await?
            .refused(ErrorCode::ParticipantRemoved)?;
    }
    // The session is public, and so still to be seen.
    ensure!(seen(&guest, &session).await?.role.is_none());
    add(&owner, &session, &guest, Some(Role::Viewer))
        .await?
        .expect::<Participant>(201)?;
    done(&leave(&guest, &session).await?)?;
    ensure!(role().await? == Some(Role::Viewer));
    Ok(())
}

pub async fn only_the_owner_hands_a_session_over(world: World) -> Result<()> {
    let (session, [viewer, editor, admin, owner]) = staffed(&world).await?;
    let stranger = world.user().await?;
    for who in [&viewer, &editor, &admin] {
        transfer(who, &session, id(&editor)?)
            .await?
            .refused(ErrorCode::Forbidden)?;
    }
    transfer(&stranger, &session, id(&stranger)?)
        .await?
        .refused(ErrorCode::SessionNotFound)?;
    transfer(&owner, &session, id(&stranger)?)
        .await?
        .refused(ErrorCode::ParticipantNotFound)?;
    let handed: Session = transfer(&owner, &session, id(&editor)?)
        .await?
        .expect(200)?;
    sound(&handed)?;
    ensure!(
        handed.owner_id == id(&editor)? && handed.role == Some(Role::Admin),
        "{handed:?}"
    );
    // The old owner is an admin, with what an admin may.
    transfer(&owner, &session, id(&owner)?)
        .await?
        .refused(ErrorCode::Forbidden)?;
    let deletion = owner.send(owner.request(Method::DELETE, &path(&session)));
    deletion.await?.refused(ErrorCode::Forbidden)?;
    done(&leave(&owner, &session).await?)?;
    let deletion = editor.send(editor.request(Method::DELETE, &path(&session)));
    done(&deletion.await?)
}

pub async fn the_last_place_is_taken_by_one(world: World) -> Result<()> {
    let owner = world.user().await?;
    let request = CreateSession {
        title: "Small".into(),
        language: "python".into(),
        is_public: Some(true),
        max_participants: Some(2),
        ..Default::default()
    };
    let session = owner.create_session(&request).await?;
    let mut guests = Vec::new();
    for _ in 0..4 {
        guests.push(world.user().await?);
    }
    let added = guests
        .iter()
        .take(2)
        .map(|guest| add(&owner, &session, guest, None));
    let joined = guests.iter().skip(2).map(|guest| guest.join(&session));
    let (added, joined) = join(join_all(added), join_all(joined)).await;
    let mut taken = 0;
    for answer in added.into_iter().chain(joined) {
        let answer = answer?;
        if answer.status.is_success() {
            taken += 1;
        } else {
            answer.refused(ErrorCode::SessionFull)?;
        }
    }
    let session = seen(&owner, &session).await?;
    sound(&session)?;
    ensure!(taken == 1 && session.participants.len() == 2, "{session:?}");
    Ok(())
}

pub async fn of_changes_at_once_one_wins_and_the_session_stays_sound(world: World) -> Result<()> {
    for _ in 0..4 {
        let (session, [viewer, _, admin, owner]) = staffed(&world).await?;
        let (changed, removed) = join(
            change(&owner, &session, id(&viewer)?, Role::Admin),
            remove(&admin, &session, id(&viewer)?),
        )
        .await;
        let (changed, removed) = (changed?, removed?);
        let now = seen(&owner, &session).await?;
        sound(&now)?;
        if removed.status == 204 {
            ensure!(role_of(&now, id(&viewer)?).is_none(), "{now:?}");
            if changed.status != 200 {
                changed.refused(ErrorCode::ParticipantNotFound)?;
            }
        } else {
            // The viewer was an admin already.
            removed.refused(ErrorCode::Forbidden)?;
            changed.expect::<Participant>(200)?;
        }

        let (handed, left) = join(
            transfer(&owner, &session, id(&admin)?),
            leave(&admin, &session),
        )
        .await;
        let (handed, left) = (handed?, left?);
        let now = seen(&owner, &session).await?;
        sound(&now)?;
        if left.status == 204 {
            handed.refused(ErrorCode::ParticipantNotFound)?;
            ensure!(now.owner_id == id(&owner)?, "{now:?}");
        } else {
            left.refused(ErrorCode::OwnerStays)?;
            handed.expect::<Session>(200)?;
            ensure!(now.owner_id == id(&admin)?, "{now:?}");
        }
    }
    Ok(())
}

pub async fn participants_of_others_cannot_be_told_or_touched(world: World) -> Result<()> {
    let (session, [viewer, ..]) = staffed(&world).await?;
    let stranger = world.user().await?;
    let not_found = ErrorCode::SessionNotFound;
    add(&stranger, &session, &stranger, None)
        .await?
        .refused(not_found)?;
    change(&stranger, &session, id(&viewer)?, Role::Viewer)
        .await?
        .refused(not_found)?;
    remove(&stranger, &session, id(&viewer)?)
        .await?
        .refused(not_found)?;
    leave(&stranger, &session).await?.refused(not_found)?;

    // A public one is seen by everybody, and touched by as few.
    let owner = world.user().await?;
    let public = world.public_session(&owner, Role::Editor).await?;
    viewer.joined(&public).await?;
    let forbidden = ErrorCode::Forbidden;
    add(&stranger, &public, &stranger, None)
        .await?
        .refused(forbidden)?;
    change(&stranger, &public, id(&viewer)?, Role::Viewer)
        .await?
        .refused(forbidden)?;
    remove(&stranger, &public, id(&viewer)?)
        .await?
        .refused(forbidden)?;
    transfer(&stranger, &public, id(&stranger)?)
        .await?
        .refused(forbidden)?;
    Ok(())
}

pub async fn bad_requests_about_participants_are_named(world: World) -> Result<()> {
    let (session, [viewer, .., owner]) = staffed(&world).await?;
    let at = format!("{}/participants", path(&session));
    let named = async |answer: Answer, fields: &[&str]| {
        let problem = answer.refused(ErrorCode::ValidationFailed)?;
        let found: Vec<&str> = problem.errors.iter().map(|e| e.field.as_str()).collect();
        ensure!(found == fields, "{problem:?}");
        Ok(())
    };
    let json = serde_json::json!({ "username": "", "role": "owner" });
    named(owner.post(&at, &json).await?, &["username", "role"]).await?;
    let json = serde_json::json!({ "username": "somebody", "role": "king" });
    named(owner.post(&at, &json).await?, &["role"]).await?;
    let json = serde_json::json!({ "role": "viewer" });
    named(owner.post(&at, &json).await?, &["username"]).await?;
    let answer = change(&owner, &session, id(&viewer)?, Role::Owner).await?;
    named(answer, &["role"]).await?;
    let json = serde_json::json!({ "userId": "not-an-id" });
    let at = format!("{}/transfer", path(&session));
    named(owner.post(&at, &json).await?, &["userId"]).await?;

    let request = ChangeRole { role: Role::Viewer };
    let odd = format!("{}/participants/not-an-id", path(&session));
    owner
        .json(Method::PUT, &odd, &request)
        .await?
        .refused(ErrorCode::ParticipantNotFound)?;
    let nobody = UserId::at(Timestamp::from_millis(1), [7; 10]);
    remove(&owner, &session, nobody)
        .await?
        .refused(ErrorCode::ParticipantNotFound)?;
    owner
        .get(&of(&session, id(&viewer)?))
        .await?
        .refused(ErrorCode::MethodNotAllowed)?;
    let stranger = world.stranger();
    leave(&stranger, &session)
        .await?
        .refused(ErrorCode::TokenMissing)?;
    Ok(())
}
