// The devices of an agency: inviting one, letting it in by the six signs that it
// shows, taking it out.

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { Id, Named, Who } from "../act";
import { Act } from "../asking";
import type { Device, Invitation } from "../contract";
import { ask } from "../deciding";
import { Once } from "../once";
import { Field, Form, Loaded, Row, Screen, Tag, need, useLoaded } from "../parts";
import { go, to } from "../place";
import * as service from "../service";
import { Whose, agencies, own } from "../whose";
import { Beside, Say } from "../words";

const look = { pending: "late", active: "good", revoked: "" } as const;
const order = ["pending", "active", "revoked"];

export function Devices({ id: agency }: { id: string }): VNode {
  const found = useLoaded(() => Promise.all([service.listDevices(agency), agencies()]), agency);
  return (
    <Screen name="devices" title="admin.devices.title" back="home">
      <Loaded from={found}>
        {([{ devices }, all]) => (
          <>
            <Whose screen="devices" agency={agency} of={all} />
            {own(agency) !== "" && <p><a class="button" href={to("device-new", agency)} data-testid="add"><Say id="admin.devices.invite" /></a></p>}
            {devices.length === 0 && <p><Say id="admin.none" /></p>}
            <ul class="list" data-testid="devices">
              {[...devices].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state)).map((d) => (
                <li key={d.id}>
                  <a href={to("device", `${agency}/${d.id}`)}><bdi>{d.label}</bdi></a>
                  <Tag id={`admin.device.${d.state}`} look={look[d.state]} />
                  {own(agency) === "" && <span class="hint"><Named id={d.agency} bare /></span>}
                </li>
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </Screen>
  );
}

export function OneDevice({ id }: { id: string }): VNode {
  const [agency = "", device = ""] = id.split("/");
  const found = useLoaded(async () => (await service.listDevices(agency)).devices.find((d) => d.id === device) ?? null, id);
  return (
    <Screen name="device" title="admin.device.title" back={`devices/${agency}`}>
      <Loaded from={found}>
        {(d) => (d ? (
          <>
            <dl class="facts">
              <Row label={<Say id="admin.at.what.label" />}><bdi>{d.label}</bdi><Id of={d.id} /></Row>
              <Row label={<Say id="admin.at.agency" />}><Named id={d.agency} /></Row>
              {d.invited_by && <Row label={<Say id="admin.at.what.invited_by" />}><Who id={d.invited_by} /></Row>}
              <Row label={<Say id="admin.at.state" />}><Tag id={`admin.device.${d.state}`} look={look[d.state]} /></Row>
            </dl>
            {d.state === "pending" && <LetIn device={d} back={agency} />}
            {d.state !== "revoked" && <Act id="admin.device.revoke" act={() => ask(service.revokeDevice(d.id), "devices", agency)} testid="revoke" />}
          </>
        ) : <p><Beside id="admin.problem.not_found" /></p>)}
      </Loaded>
    </Screen>
  );
}

function LetIn({ device, back }: { device: Device; back: string }): VNode {
  if (device.invited_by === service.me.value?.id) return <p class="note"><Beside id="admin.device.own" /></p>;
  const send = (values: FormData): Promise<void> => {
    const symbols = String(values.get("symbols"));
    need({ symbols: symbols.replace(/[\s-]/g, "").length !== 6 && "admin.missing.symbols" });
    return ask(service.approveDevice(device.id, { symbols }), "devices", back);
  };
  return (
    <section>
      <h2><Say id="admin.device.let_in" /></h2>
      <Form action="admin.device.let_in" send={send}>
        <Field name="symbols" label="admin.device.symbols" hint="admin.device.symbols.hint" maxlength={20} autocapitalize="characters" dir="ltr" />
      </Form>
    </section>
  );
}

export function NewDevice({ id: agency }: { id: string }): VNode {
  const made = useSignal<Invitation | null>(null);
  const send = async (values: FormData): Promise<void> => {
    const label = String(values.get("label")).trim();
    need({ label: label === "" && "admin.missing.label" });
    made.value = await service.inviteDevice({ label, ...(agency ? { agency } : {}) });
  };
  return (
    <Screen name="device-new" title="admin.devices.invite" back={made.value ? undefined : `devices/${agency}`}>
      {made.value
        ? <Once shown={{ kind: "device", value: made.value.link }} name={made.value.label} done={() => go("devices", agency)} />
        : <Form action="action.next" send={send}><Field name="label" label="admin.at.what.label" hint="admin.devices.label.hint" maxlength={40} /></Form>}
    </Screen>
  );
}
