// The keys that sign for the network and for an agency, and asking that one is replaced.

import type { VNode } from "preact";
import { Word } from "../act";
import type { SigningKey } from "../contract";
import { ask } from "../deciding";
import { operates } from "../may";
import { Loaded, Press, Screen, Tag, useLoaded } from "../parts";
import * as service from "../service";
import { agencies, own, Whose } from "../whose";
import { Beside, Say, day } from "../words";

export function Signing({ id }: { id: string }): VNode {
  const agency = own(id);
  const found = useLoaded(async () => {
    const [{ keys }, all] = await Promise.all([service.listSigningKeys(agency), agencies()]);
    return { keys, all };
  }, agency);
  return (
    <Screen name="signing" title="admin.signing.title" back="home">
      <p><Beside id="admin.signing.lead" /></p>
      <Loaded from={found}>
        {({ keys, all }) => (
          <>
            <Whose screen="signing" agency={id} of={all} />
            {/* Whoever chooses an agency sees its keys; without a choice, her own and the network's. */}
            <ul class="list" data-testid="signing-keys">{keys.filter((k) => !id || k.agency === id).map((k) => <Key key={k.use + k.kid} of={k} back={id} />)}</ul>
          </>
        )}
      </Loaded>
    </Screen>
  );
}

// Key is one of them. Whoever answers for an agency replaces its own, with another one;
// those of the network somebody who runs it asks for.
function Key({ of: k, back }: { of: SigningKey; back: string }): VNode {
  const may = k.signs && (k.use === "agency" || operates());
  const change = (): Promise<void> => ask(service.changeSigningKey(k.agency ? { use: k.use, agency: k.agency } : { use: k.use }), "signing", back);
  return (
    <li data-use={k.use}>
      <span><Word of="use" value={k.use} /><span class="block"><bdi dir="ltr" class="id">{k.kid}</bdi></span></span>
      <Tag id={k.signs ? "admin.signing.signs" : "admin.signing.old"} look={k.signs ? "good" : ""} />
      {k.until && <span class="hint"><Say id="admin.signing.until" values={{ when: day(k.until) }} /></span>}
      {may && <Press id="admin.signing.change" act={change} testid={`change-${k.use}`} about={k.kid} />}
    </li>
  );
}
