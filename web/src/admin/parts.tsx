// What the screens of this page are made of, after the patterns of GOV.UK's design
// system: question pages, error summaries, summary lists, task lists, notices.

import { useSignal } from "@preact/signals";
import { createContext, type ComponentChildren, type VNode } from "preact";
import { useContext, useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";
import { Refused, Unreachable } from "../shared/service";
import { NotUsed } from "../shared/passkey";
import { to } from "./place";
import { byMachine, choose, has, language, languages } from "../shared/words";
import { Beside, Say, type Values } from "./words";

interface ScreenOf {
  name: string;
  title: string; // a message
  values?: Values;
  children: ComponentChildren;
  back?: string | undefined; // the place before
}

/** Screen is one screen: its heading has the focus when it comes. */
export function Screen({ name, title, values, children, back }: ScreenOf): VNode {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    document.body.dataset["screen"] = name;
    scrollTo(0, 0);
    heading.current?.focus({ preventScroll: true });
  }, [name]);
  return (
    <main id="main" tabIndex={-1}>
      {back !== undefined && <p class="way"><a href={to(back)} data-testid="back"><Say id="action.back" /></a></p>}
      <h1 tabIndex={-1} ref={heading}><Say id={title} values={values ?? {}} /></h1>
      {children}
    </main>
  );
}

/** Missing says which fields a form still lacks, and the message of each. */
export class Missing extends Error {
  fields: Record<string, string>;
  constructor(fields: Record<string, string>) {
    super("missing");
    this.fields = fields;
  }
}

/** need throws Missing if there is anything in it. */
export function need(fields: Record<string, string | false>): void {
  const missing = Object.entries(fields).filter((f): f is [string, string] => Boolean(f[1]));
  if (missing.length > 0) throw new Missing(Object.fromEntries(missing));
}

// words says what went wrong in a message of ours.
function wordsOf(problem: unknown): string {
  if (problem instanceof NotUsed) return "admin.problem.passkey";
  if (problem instanceof Unreachable) return "admin.problem.network";
  const code = problem instanceof Refused ? `admin.problem.${problem.code}` : "";
  return has(code) ? code : "admin.problem.other";
}

// faultsOf are the fields that a problem is about. What the service says of a value
// is English.
function faultsOf(problem: unknown): [field: string, said: VNode][] {
  if (problem instanceof Missing) return Object.entries(problem.fields).map(([field, id]) => [field, <Say id={id} />]);
  if (!(problem instanceof Refused)) return [];
  return problem.problems.map(({ pointer, rule, code }) => [pointer.split("/")[1] ?? "", <span lang="en" dir="ltr">{rule ?? code}</span>]);
}

const Faults = createContext<{ form: string; of: [string, VNode][] }>({ form: "", of: [] });

const fieldId = (form: string, name: string): string => `${form}-${name}`;

/** Trouble says what went wrong, where the eye and the focus are. */
export function Trouble({ of, form = "" }: { of: unknown; form?: string }): VNode | null {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => { if (of) box.current?.focus(); }, [of]);
  if (!of) return null;
  const faults = faultsOf(of);
  return (
    <div class="note trouble" role="alert" tabIndex={-1} ref={box} data-testid="trouble">
      {!(of instanceof Missing) && <p><Beside id={wordsOf(of)} /></p>}
      {faults.length > 0 && (
        <ul>
          {faults.map(([field, said]) => (
            <li key={field}>{form ? <a href={`#${fieldId(form, field)}`} onClick={(e) => toField(e, fieldId(form, field))}>{said}</a> : said}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

// toField moves the focus. The address is for places.
function toField(e: Event, id: string): void {
  e.preventDefault();
  document.getElementById(id)?.focus();
}

interface FormOf {
  action: string; // the message on its button
  send: (values: FormData) => Promise<void>;
  children: ComponentChildren;
}

/** Form sends what was filled in, and says what is missing. */
export function Form({ action, send, children }: FormOf): VNode {
  const form = useId();
  const busy = useSignal(false);
  const problem = useSignal<unknown>(null);
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    if (busy.value) return;
    busy.value = true;
    problem.value = null;
    try {
      await send(new FormData(e.currentTarget as HTMLFormElement));
    } catch (why) {
      problem.value = why;
    }
    busy.value = false;
  };
  return (
    <form noValidate onSubmit={(e) => void submit(e)}>
      <Faults.Provider value={{ form, of: faultsOf(problem.value) }}>
        <Trouble of={problem.value} form={form} />
        {children}
        <div class="actions">
          <button type="submit" class="primary" aria-disabled={busy.value} data-testid="send"><Say id={action} /></button>
        </div>
      </Faults.Provider>
    </form>
  );
}

function useFault(name: string): { id: string; fault: VNode | undefined } {
  const { form, of } = useContext(Faults);
  return { id: fieldId(form, name), fault: of.find(([field]) => field === name)?.[1] };
}

interface FieldOf {
  name: string;
  label: string;
  hint?: string;
  value?: string;
  [attribute: string]: unknown;
}

/** Field is one line to fill in. */
export function Field({ name, label, hint, value = "", ...attributes }: FieldOf): VNode {
  const { id, fault } = useFault(name);
  return (
    <div class="field">
      <label for={id}><Say id={label} /></label>
      {hint && <span class="hint" id={`${id}-hint`}><Beside id={hint} /></span>}
      {fault && <strong class="fault" id={`${id}-fault`}>{fault}</strong>}
      <input id={id} name={name} defaultValue={value} type="text" autocomplete="off" spellcheck={false} data-testid={name} {...attributes}
        aria-invalid={Boolean(fault)} aria-describedby={described(id, hint, fault)} />
    </div>
  );
}

const described = (id: string, hint: unknown, fault: unknown): string | undefined =>
  [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(" ") || undefined;

export interface Choice {
  value: string;
  label: VNode | string;
  chosen?: boolean;
}

/** Choices are radios or checkboxes under one question. */
export function Choices({ name, label, hint, type, of }: { name: string; label: string; hint?: string; type: "radio" | "checkbox"; of: Choice[] }): VNode {
  const { id, fault } = useFault(name);
  return (
    <fieldset class="field" aria-describedby={described(id, hint, fault)}>
      <legend><Say id={label} /></legend>
      {hint && <span class="hint" id={`${id}-hint`}><Beside id={hint} /></span>}
      {fault && <strong class="fault" id={`${id}-fault`}>{fault}</strong>}
      {of.map((c, i) => (
        <label class="choice" key={c.value}>
          <input id={i === 0 ? id : undefined} type={type} name={name} value={c.value} defaultChecked={c.chosen} data-testid={`${name}-${c.value}`} />
          <span>{c.label}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** Select is a choice among many. */
export function Select({ name, label, hint, of, change }: { name: string; label: string; hint?: string; of: Choice[]; change?: (value: string) => void }): VNode {
  const { id, fault } = useFault(name);
  return (
    <div class="field">
      <label for={id}><Say id={label} /></label>
      {hint && <span class="hint" id={`${id}-hint`}><Beside id={hint} /></span>}
      {fault && <strong class="fault" id={`${id}-fault`}>{fault}</strong>}
      <select id={id} name={name} data-testid={name} aria-describedby={described(id, hint, fault)} onChange={(e) => change?.(e.currentTarget.value)}>
        {of.map((c) => <option key={c.value} value={c.value} selected={c.chosen}>{c.label}</option>)}
      </select>
    </div>
  );
}

interface PressOf {
  id: string; // the message on it
  act: () => Promise<void> | void;
  primary?: boolean;
  testid?: string | undefined;
  about?: string; // what it is about, for whoever sees only the button
}

/** Press is a button for something that takes a while, and may go wrong. */
export function Press({ id, act, primary = false, testid, about }: PressOf): VNode {
  const busy = useSignal(false);
  const problem = useSignal<unknown>(null);
  const press = async (): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    problem.value = null;
    try {
      await act();
    } catch (why) {
      problem.value = why;
    }
    busy.value = false;
  };
  return (
    <>
      <Trouble of={problem.value} />
      <button type="button" class={primary ? "primary" : "quiet"} aria-disabled={busy.value} data-testid={testid} onClick={() => void press()}>
        <Say id={id} />{about && <span class="unseen"> {about}</span>}
      </button>
    </>
  );
}

/** useLoaded loads something when a screen comes, and again on demand. */
export function useLoaded<T>(load: () => Promise<T>, of = ""): { value: T | undefined; problem: unknown; again: () => Promise<void> } {
  const value = useSignal<T | undefined>(undefined);
  const problem = useSignal<unknown>(null);
  const newest = useRef(0);
  const again = async (): Promise<void> => {
    const turn = ++newest.current;
    try {
      const found = await load();
      if (turn !== newest.current) return;
      value.value = found;
      problem.value = null;
    } catch (why) {
      if (turn === newest.current) problem.value = why;
    }
  };
  useEffect(() => {
    value.value = undefined;
    void again();
    return () => { newest.current++; };
  }, [of]);
  return { value: value.value, problem: problem.value, again };
}

/** Loaded shows what was loaded, or that it is on its way, or what went wrong. */
export function Loaded<T>({ from, children }: { from: { value: T | undefined; problem: unknown; again: () => Promise<void> }; children: (value: T) => ComponentChildren }): VNode {
  return (
    <>
      <Trouble of={from.problem} />
      {Boolean(from.problem) && <div class="actions"><Press id="action.again" act={from.again} /></div>}
      {from.value !== undefined ? children(from.value) : !from.problem && <p role="status"><Say id="page.loading" /></p>}
    </>
  );
}

/** Row is one line of a summary list. */
export function Row({ label, children }: { label: ComponentChildren; children: ComponentChildren }): VNode {
  return <div class="line"><dt>{label}</dt><dd>{children}</dd></div>;
}

/** Tag is a state in a word. */
export function Tag({ id, look = "" }: { id: string; look?: "" | "good" | "late" }): VNode {
  return <strong class={`tag ${look}`}><Say id={id} /></strong>;
}

/** LanguageChoice lists every language by its own name. */
export function LanguageChoice(): VNode {
  const chosen = useSignal(language().language);
  const change = async (e: Event): Promise<void> => {
    const select = e.currentTarget as HTMLSelectElement;
    await choose(select.value);
    select.value = chosen.value = language().language;
  };
  return (
    <div class="field">
      <label for="language"><Say id="settings.language" /></label>
      <select id="language" data-testid="language" onChange={(e) => void change(e)}>
        {languages.map((l) => <option key={l.language} value={l.language} lang={l.language} selected={l.language === chosen.value}>{l.name}</option>)}
      </select>
      {byMachine("settings.machine") && <p class="machine"><Say id="settings.machine" /></p>}
    </div>
  );
}
