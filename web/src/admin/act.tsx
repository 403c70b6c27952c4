// An act in words: what it does in one sentence, and all that it says in lines.

import type { VNode } from "preact";
import { has } from "../shared/words";
import { doing, factsOf, partsOf, timeOf, valueAt, type Fact, type Meaning } from "./acts";
import type { ActLine, Role } from "./contract";
import { nameOf } from "./names";
import { Row } from "./parts";
import { Beside, Say, moment, number } from "./words";

/** Named is what an id stands for. An id that nobody here knows by name, and that an
 * act names itself, has that name. */
export function Named({ id, bare = false, named }: { id: string; bare?: boolean; named?: string | undefined }): VNode {
  const name = nameOf(id) ?? named;
  if (name === undefined) return <bdi dir="ltr">{id}</bdi>;
  return <><bdi>{name}</bdi>{!bare && <Id of={id} />}</>;
}

/** Id stands under the name that it stands for. */
export const Id = ({ of }: { of: string }): VNode => <span class="block"><bdi dir="ltr" class="id">{of}</bdi></span>;

/** Roles are the roles of somebody in words. */
export function Roles({ of }: { of: readonly Role[] }): VNode {
  return <>{of.map((role, i) => <span key={role}>{i > 0 && ", "}<Word of="role" value={role} /></span>)}</>;
}

/** Word is a value that this page has a word for, or the value itself. */
export function Word({ of, value }: { of: "role" | "class" | "kind" | "level" | "finding" | "use" | "yes"; value: string }): VNode {
  const id = `admin.${of}.${value.toLowerCase()}`;
  return has(id) ? <Say id={id} /> : <bdi>{value}</bdi>;
}

/** Sentence is what an act does. */
export function Sentence({ lines, beside = false }: { lines: readonly ActLine[]; beside?: boolean }): VNode {
  const act = doing(lines);
  const at = (place: string): string | undefined => valueAt(lines, place) || undefined;
  const named = (id: string | undefined, name?: string): VNode => (id ? <Named id={id} bare named={name} /> : <Say id="admin.network.itself" />);
  const values = {
    do: act,
    agency: named(at("what.id") ?? at("agency"), at("what.name")),
    person: named(at("what.person") ?? at("what.id"), at("what.handle")),
    program: named(at("what.id"), at("what.label")),
    device: named(at("what.id"), at("what.label")),
    partner: named(at("what.partner")),
  };
  const ends = act === "agency.partner" && !at("what.partner");
  const id = ends ? "admin.do.agency.partner.end" : has(`admin.do.${act}`) ? `admin.do.${act}` : "admin.do.other";
  const said = beside ? <Beside id={id} values={values} /> : <Say id={id} values={values} />;
  const [kind, level] = [at("what.kind"), at("what.level")];
  if (act !== "attestation.issue" || !kind) return said;
  return <>{said}: <Word of="kind" value={kind} />{level && <>, <Word of="level" value={level} /></>}</>;
}

/** Facts are all that an act says. What is for machines stands apart, and is there. */
export function Facts({ lines }: { lines: readonly ActLine[] }): VNode {
  const facts = factsOf(doing(lines), lines);
  const named = ["handle", "label", "name"].map((n) => valueAt(lines, `what.${n}`)).find((n) => n !== undefined);
  const people = facts.filter((f) => f.means !== "machine" && !f.at.startsWith("order."));
  const order = facts.filter((f) => f.means !== "machine" && f.at.startsWith("order."));
  const machines = facts.filter((f) => f.means === "machine");
  return (
    <>
      <dl class="facts" data-testid="facts">{people.map((f) => <One key={f.at} fact={f} act={doing(lines)} named={f.at === "what.id" ? named : undefined} />)}</dl>
      {order.length > 0 && (
        <>
          <h2><Say id="admin.act.order" /></h2>
          <dl class="facts" data-testid="order">{order.map((f) => <One key={f.at} fact={f} act={doing(lines)} />)}</dl>
        </>
      )}
      {machines.length > 0 && (
        <details>
          <summary><Say id="admin.act.machine" /></summary>
          <dl class="facts">{machines.map((f) => <One key={f.at} fact={f} act={doing(lines)} />)}</dl>
        </details>
      )}
    </>
  );
}

function One({ fact, act, named }: { fact: Fact; act: string; named?: string | undefined }): VNode {
  // An agency has the highest level that it may sign; a decision is of one level.
  const id = fact.means === "level" && !act.startsWith("agency.") ? "admin.at.level" : `admin.at.${fact.at}`;
  const label = fact.at.startsWith("order.") ? <Part at={fact.at} /> : fact.means !== "unknown" && has(id) ? <Say id={id} /> : <bdi dir="ltr">{fact.at}</bdi>;
  return <Row label={label}>{fact.values.map((v) => <p key={v}><Value means={fact.means} value={v} named={named} /></p>)}</Row>;
}

// Part is the label of a part of an order: the way to it in words. One that this page
// has no words for is shown as it stands.
function Part({ at }: { at: string }): VNode {
  const parts = partsOf(at);
  if (parts.some((part) => typeof part === "string" && !has(part))) return <bdi dir="ltr">{at}</bdi>;
  return <>{parts.map((part, i) => (typeof part === "number" ? <bdi key={i}> {number(part)}</bdi> : <span key={i}>{i > 0 && " · "}<Say id={part} /></span>))}</>;
}

function Value({ means, value, named }: { means: Meaning; value: string; named: string | undefined }): VNode {
  if (value === "") return means === "agency" ? <Say id="admin.network.itself" /> : <Say id="admin.act.nothing" />;
  switch (means) {
    case "agency": case "person": case "program": case "device": return <Named id={value} named={named} />;
    case "role": case "class": case "kind": case "level": case "finding": case "use": case "yes": return <Word of={means} value={value} />;
    case "time": if (value === "0") return <Say id="admin.act.usual" />; return <bdi>{moment(timeOf(value))}</bdi>;
    case "machine": return <bdi dir="ltr" class="machine-part">{value}</bdi>;
    default: return <bdi>{value}</bdi>;
  }
}
