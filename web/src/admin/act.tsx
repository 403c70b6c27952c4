// An act in words: what it does in one sentence, and all that it says in lines.

import type { VNode } from "preact";
import { has } from "../shared/words";
import { doing, factsOf, partsOf, timeOf, valueAt, type Fact, type Meaning } from "./acts";
import type { ActLine, Role } from "./contract";
import { keeps } from "./may";
import { nameOf } from "./names";
import { Row } from "./parts";
import { isDay } from "../shared/text";
import { Beside, Say, day, moment, number } from "./words";

/** Named is what an id stands for. An id that nobody here knows by name, and that an
 * act names itself, has that name. */
export function Named({ id, bare = false, named }: { id: string; bare?: boolean; named?: string | undefined }): VNode {
  const name = nameOf(id) ?? named;
  if (name === undefined) return <bdi dir="ltr">{id}</bdi>;
  return <><bdi>{name}</bdi>{!bare && <Id of={id} />}</>;
}

/** Who is somebody by name, or no more than that there is somebody. */
export function Who({ id, named }: { id: string; named?: string | undefined }): VNode {
  const name = nameOf(id) ?? named;
  return name === undefined ? <Say id="admin.unnamed" /> : <bdi>{name}</bdi>;
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

/** Code is a value of a list. Some of them are classes, levels or parts of an order, which
 * have their words already; one that has none is shown as it is. */
function Code({ value }: { value: string }): VNode {
  const word = value.toLowerCase();
  const id = word === "yes" ? "admin.yes.true" : word === "no" ? "admin.yes.false"
    : ["value", "class", "level", "kind", "order"].map((of) => `admin.${of}.${word}`).find(has);
  return id ? <Say id={id} /> : <bdi>{value}</bdi>;
}

/** Sentence is what an act does. */
export function Sentence({ lines, beside = false }: { lines: readonly ActLine[]; beside?: boolean }): VNode {
  const act = doing(lines);
  const at = (place: string): string | undefined => valueAt(lines, place) || undefined;
  const named = (id: string | undefined, name?: string): VNode => (id ? <Named id={id} bare named={name} /> : <Say id="admin.network.itself" />);
  const values = {
    do: act,
    agency: named(at("what.id") ?? at("what.agency") ?? at("agency"), at("what.name")),
    person: <Who id={at("what.person") ?? at("what.id") ?? ""} named={at("what.handle")} />,
    program: named(at("what.id"), at("what.label")),
    device: named(at("what.id"), at("what.label")),
    partner: named(at("what.partner")),
  };
  const ends = act === "agency.partner" && !at("what.partner");
  // A key is named by what it signs: several may wait at a time.
  const id = [ends && "admin.do.agency.partner.end", at("what.use") && `admin.do.${act}.${at("what.use")}`, `admin.do.${act}`].find((id) => id && has(id)) || "admin.do.other";
  const said = beside ? <Beside id={id} values={values} /> : <Say id={id} values={values} />;
  const [kind, level] = [at("what.kind"), at("what.level")];
  if (act !== "attestation.issue" || !kind) return said;
  return <>{said}: <Word of="kind" value={kind} />{level && <>, <Word of="level" value={level} /></>}</>;
}

// idle tells whether something says nothing to whoever reads it here: what is for
// machines, ids of those whom she may not know by name, and ids of cases to whom keeps none.
function idle({ at, means, values }: Fact, named: string | undefined): boolean {
  switch (means) {
    case "machine": return true;
    case "case": return !keeps();
    case "person": case "program": return values.every((id) => id !== "" && nameOf(id) === undefined) && !(at === "what.id" && named);
    default: return false;
  }
}

/** Facts are all that an act says. What says nothing to people stands apart, and is there. */
export function Facts({ lines }: { lines: readonly ActLine[] }): VNode {
  const facts = factsOf(doing(lines), lines);
  const named = ["handle", "label", "name"].map((n) => valueAt(lines, `what.${n}`)).find((n) => n !== undefined);
  const told = facts.filter((f) => !idle(f, named));
  const people = told.filter((f) => !f.at.startsWith("order."));
  const order = told.filter((f) => f.at.startsWith("order."));
  const machines = facts.filter((f) => idle(f, named));
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
  const label = fact.at.startsWith("order.") ? <Part at={placeIn(act, fact.at)} /> : fact.means !== "unknown" && has(id) ? <Say id={id} /> : <bdi dir="ltr">{fact.at}</bdi>;
  return <Row label={label}>{fact.values.map((v) => <p key={v}><Value means={fact.means} value={v} named={named} /></p>)}</Row>;
}

// placeIn is the place of an order by whose words it is labelled: what is looked up has a
// kind of document where statements have theirs.
const placeIn = (act: string, at: string): string => (act === "number.look_up" && at === "order.kind" ? "order.document_kind" : at);

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
    case "code": return <Code value={value} />;
    case "number": return <bdi>{number(value)}</bdi>;
    case "time": if (value === "0") return <Say id="admin.act.usual" />; return <bdi>{moment(timeOf(value))}</bdi>;
    case "machine": return <bdi dir="ltr" class="machine-part">{value}</bdi>;
    default: return <bdi>{isDay(value) ? day(value) : value}</bdi>;
  }
}
