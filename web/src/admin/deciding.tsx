// Asking for an act, and agreeing to it. What was asked is shown as the service will
// have it signed, before anybody signs.

import { signal, useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { Facts, Named, Sentence, Who } from "./act";
import { doing, valueAt } from "./acts";
import type { Agreeing, Asked, Request } from "./contract";
import { learn, nameOf } from "./names";
import { Once, Printed, type Shown } from "./once";
import { Press, Tag } from "./parts";
import { use } from "../shared/passkey";
import { Refused } from "../shared/service";
import { go } from "./place";
import * as service from "./service";
import { Beside, Say, moment } from "./words";

/** asked is what was just asked for here, with what is shown this once. It stays on
 * the screen until it was decided, and handed over. */
export const asked = signal<{ request: Request; once: Shown | undefined } | null>(null);

/** ask asks for an act. When it was decided, somebody is where they were sent back to.
 * What the service does at once, without anybody agreeing, has no request. */
export async function ask(answer: Promise<unknown>, back: string, id = ""): Promise<void> {
  const { request, link, token } = ((await answer) ?? {}) as Partial<Asked>;
  go(back, id);
  if (request) asked.value = { request, once: link ? { kind: "join", value: link } : token ? { kind: "token", value: token } : undefined };
}

/** agree signs what is asked: with the passkey of whoever sits here or, in a
 * demonstration, with that of whom its page has signed them in as. */
export async function agree(request: Request): Promise<Request> {
  // Another window may have signed in somebody else meanwhile: nobody agrees in a name
  // that does not stand here.
  if (!await service.same()) throw new Refused(409, "state_conflict");
  const lent = service.me.value?.demo ? await service.lent(request.options) : undefined;
  return service.agree(request.id, { response: lent ?? await use(request.options) });
}

/** Deciding shows a request, and lets somebody agree or say no. */
export function Deciding({ request, once, left }: { request: Request; once?: Shown | undefined; left: () => void }): VNode {
  const now = useSignal(request);
  const r = now.value;
  const own = valueAt(r.lines, "by") === service.me.value?.id;
  useEffect(() => { void learn(r.agency); }, [r.id]);
  const no = async (): Promise<void> => {
    await service.withdrawRequest(r.id);
    now.value = { ...r, state: "withdrawn", mine: false };
  };
  const yes = async (): Promise<void> => { now.value = await agree(r); };
  const open = r.state === "waits";
  const spent = r.state === "ask_again";
  const hands = !r.mine && once && r.state !== "withdrawn"; // something is to be handed over
  return (
    <>
      <Standing request={r} />
      {r.mine && <p class="lead"><Beside id="admin.request.lead" /></p>}
      {hands && <Once shown={once} lines={r.lines} done={left} />}
      {r.card && <Printed card={r.card} done={left} />}
      <Facts lines={r.lines} />
      {open && <Needs request={r} />}
      <div class="actions">
        {r.mine && <Press id="admin.request.agree" primary act={yes} testid="agree" />}
        {(open || spent) && <Press id={own ? "admin.request.take_back" : "admin.request.no"} act={no} testid="no" />}
        {!r.mine && !hands && !r.card && <button type="button" class="quiet" data-testid="left" onClick={left}><Say id="action.close" /></button>}
      </div>
    </>
  );
}

// Standing says what has become of a request.
function Standing({ request: r }: { request: Request }): VNode | null {
  const said = r.state === "done" ? (r.counts ? "admin.request.counts" : "admin.request.done")
    : r.state === "withdrawn" ? "admin.request.withdrawn"
    : r.state === "over" ? "admin.request.over"
    : r.state === "agreed" ? "admin.request.doing"
    : r.state === "ask_again" ? "admin.request.ask_again"
    : r.mine ? "" : "admin.request.waits";
  if (!said) return null;
  return <p class={`note ${r.state === "ask_again" ? "late" : "good"}`} role="status" data-testid="standing" data-state={r.state}><Beside id={said} values={{ when: r.counts ? { moment: r.counts } : "" }} /></p>;
}

function Needs({ request: r }: { request: Request }): VNode {
  return (
    <div class="hint">
      <p><Say id="admin.request.agreed" values={{ agreed: r.agreed.length, people: r.people }} />
        {r.agreed.map((id) => ({ id, name: nameOf(id) ?? r.who?.find((w) => w.id === id)?.handle })).filter((one) => one.name)
          .map(({ id, name }) => <span key={id}> <bdi>{name}</bdi></span>)}</p>
      {r.root && <p><Beside id="admin.request.root" /></p>}
      <May request={r} />
      {r.apart && <p><Say id="admin.request.apart" /></p>}
      {r.delayed && <p><Say id="admin.request.delayed" /></p>}
      <p><Say id="admin.request.expires" values={{ when: moment(r.expires) }} /></p>
    </div>
  );
}

// May lists who else can agree. Whom one may not list by handle is somebody of an agency.
function May({ request: r }: { request: Request }): VNode | null {
  const rest = (r.who ?? []).filter((w) => !w.agreed);
  if (rest.length === 0) return null;
  const handle = (w: Agreeing): string | undefined => w.handle || nameOf(w.id);
  const named = rest.filter((w) => handle(w) !== undefined);
  const others = [...new Set(rest.filter((w) => handle(w) === undefined).map((w) => w.agency))];
  const agency = (id: string): VNode => (id ? <Named id={id} bare /> : <Say id="admin.network.itself" />);
  const all = [
    ...named.map((w) => <span key={w.id}><bdi>{handle(w)}</bdi>{w.agency && <> ({agency(w.agency)})</>}</span>),
    ...others.map((id) => <Say key={id} id="admin.request.somebody" values={{ agency: agency(id) }} />),
  ];
  return (
    <p data-testid="may"><Say id="admin.request.may" />
      {all.map((one, i) => <span key={one.key}>{i > 0 ? ", " : " "}{one}</span>)}
      {Boolean(r.others) && <> <Say id="admin.request.others" values={{ count: r.others ?? 0 }} /></>}</p>
  );
}

/** Entry is a request in a list. */
export function Entry({ request: r, href }: { request: Request; href: string }): VNode {
  const by = valueAt(r.lines, "by") ?? "";
  return (
    <li data-testid="request" data-do={doing(r.lines)}>
      <a href={href}><Sentence lines={r.lines} /></a>
      {r.state === "ask_again" && <Tag id="admin.request.again" look="late" />}
      <span class="hint">{nameOf(by) === undefined
        ? <Say id="admin.request.expires" values={{ when: moment(r.expires) }} />
        : <Say id="admin.request.by" values={{ who: <Who id={by} />, when: moment(r.expires) }} />}</span>
    </li>
  );
}
