// People of the demo, whom its page signs in with a press, and who agree with the
// passkeys that it keeps.

/** signIn signs somebody in, and returns how they ask the service. */
async function signIn({ service }, person) {
  const answer = await fetch(`${service}/stage/sign-in`, {
    method: "POST", redirect: "manual", headers: { origin: service }, body: new URLSearchParams({ person: person.id }),
  });
  const [cookie] = (answer.headers.getSetCookie()[0] ?? "").split(";");
  if (answer.status !== 303 || !cookie) throw new Error(`${person.handle} is not signed in: ${answer.status}`);
  return async (path, body) => {
    const answer = await fetch(`${service}${path}`, {
      method: body ? "POST" : "GET",
      headers: { cookie, origin: service, ...(body ? { "content-type": "application/json", "idempotency-key": crypto.randomUUID() } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
}

/** agree has people agree to a request, one after the other. */
export async function agree(config, request, ...people) {
  let state = request.state;
  for (const person of people) {
    const ask = await signIn(config, person);
    const { options } = await ask(`/api/v1/requests/${request.id}`);
    ({ state } = await ask(`/api/v1/requests/${request.id}/approvals`, await ask("/stage/passkey", { options })));
  }
  if (state !== "done") throw new Error(`after ${people.length} have agreed the request ${state}`);
}
