// What is shown once: a link or a token, as text and, if somebody else is to open it,
// as a square for a camera.

import { useSignal } from "@preact/signals";
import { correction, generate } from "lean-qr";
import type { VNode } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { valueAt } from "./acts";
import type { ActLine, Card } from "./contract";
import { nameOf } from "./names";
import { Row } from "./parts";
import { Beside, Say, text } from "./words";

/** Shown is what is shown once. */
export interface Shown {
  kind: "join" | "device" | "token";
  value: string;
}

/** Once stays until somebody says that it was passed on. */
export function Once({ shown, lines = [], name, done }: { shown: Shown; lines?: readonly ActLine[]; name?: string; done: () => void }): VNode {
  const copied = useSignal(false);
  const who = name ?? valueAt(lines, "what.handle") ?? valueAt(lines, "what.label") ?? nameOf(valueAt(lines, "what.id") ?? "") ?? "";
  useEffect(stays, []);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(shown.value).catch(() => select("once"));
    copied.value = true;
  };
  return (
    <section class="card">
      <h2><Say id={`admin.once.${shown.kind}.title`} values={{ who }} /></h2>
      <p><Beside id={`admin.once.${shown.kind}`} /></p>
      <p class="once" id="once" data-testid="once" dir="ltr" tabIndex={0}>{shown.value}</p>
      <p role="status" class="hint">{copied.value && <Say id="admin.once.copied" />}</p>
      {shown.kind !== "token" && <Square of={shown.value} />}
      <div class="actions">
        <button type="button" class="quiet" data-testid="copy" onClick={() => void copy()}><Say id="admin.once.copy" /></button>
        <button type="button" class="primary" data-testid="passed" onClick={done}><Say id="admin.once.passed" /></button>
      </div>
    </section>
  );
}

let kept = 0;

/** handing tells whether something is on the screen that is nowhere else. */
export const handing = (): boolean => kept > 0;

// stays asks before what is shown once is gone.
function stays(): () => void {
  const ask = (e: Event): void => e.preventDefault();
  addEventListener("beforeunload", ask);
  kept++;
  return () => {
    removeEventListener("beforeunload", ask);
    kept--;
  };
}

/** Printed is a card that was made by the approval of whoever sits here. Its picture is
 * a file to print: this page shows none. */
export function Printed({ card, done }: { card: Card; done: () => void }): VNode {
  useEffect(stays, []);
  const picture = useMemo(() => URL.createObjectURL(new Blob([Uint8Array.from(atob(card.png), (c) => c.charCodeAt(0))], { type: "image/png" })), [card.png]);
  useEffect(() => () => URL.revokeObjectURL(picture), [picture]);
  return (
    <section class="card" data-testid="printed">
      <h2><Say id="admin.printed.title" /></h2>
      <p><Beside id="admin.printed" /></p>
      <dl class="facts">
        <Row label={<Say id="admin.printed.number" />}><p><bdi dir="ltr">{card.number}</bdi></p></Row>
        <Row label={<Say id="admin.printed.code" />}><p><bdi dir="ltr">{card.code}</bdi></p></Row>
        {card.printed_name && <Row label={<Say id="admin.printed.name" />}><p><bdi>{card.printed_name}</bdi></p></Row>}
      </dl>
      <div class="actions">
        <a class="quiet" href={picture} download="card.png" data-testid="picture"><Say id="admin.printed.picture" /></a>
        <button type="button" class="primary" data-testid="passed" onClick={done}><Say id="admin.once.passed" /></button>
      </div>
    </section>
  );
}

// select marks the text, so that it can be copied by hand.
function select(id: string): void {
  const text = document.getElementById(id);
  if (text) getSelection()?.selectAllChildren(text);
}

const quiet = 4; // modules of white around it (ISO/IEC 18004 §6.3.8)

function Square({ of }: { of: string }): VNode {
  const { size, path } = useMemo(() => {
    const code = generate(of, { minCorrectionLevel: correction.M });
    let drawn = "";
    for (let y = 0; y < code.size; y++) for (let x = 0; x < code.size; x++) if (code.get(x, y)) drawn += `M${x} ${y}h1v1h-1z`;
    return { size: code.size, path: drawn };
  }, [of]);
  return (
    <svg class="square" role="img" aria-label={text("admin.once.square")} data-testid="square" shape-rendering="crispEdges"
      viewBox={`${-quiet} ${-quiet} ${size + 2 * quiet} ${size + 2 * quiet}`}>
      <path d={path} />
    </svg>
  );
}
