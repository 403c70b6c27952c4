// Components that several screens are made of.

import { h, button, type Child } from "./dom";
import { pictogram } from "./shapes";
import { byMachine, choose, language, languages, say } from "./words";

/** field is an input with its label, and a hint under it. */
export function field(label: Child, input: HTMLElement, hint?: Child): HTMLElement {
  input.id ||= `field-${crypto.randomUUID()}`;
  return h("p", { class: "field" }, h("label", { for: input.id }, label), input, hint && h("span", { class: "hint" }, hint));
}

/** secret is a field that hides its digits. No password manager offers to
 * remember them. */
export function secret(attributes: Record<string, string> = {}): HTMLInputElement {
  return h("input", {
    type: "text", inputmode: "numeric", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    dir: "ltr", class: "secret", ...attributes,
  });
}

/** note is the place where a form says what is wrong. */
export function note(): HTMLParagraphElement {
  return h("p", { class: "note", role: "alert" });
}

export const primary = (id: string, press: () => void, attributes = {}): HTMLButtonElement =>
  button(drawn(id), press, { class: "primary", ...attributes });

export const quiet = (id: string, press: () => void, attributes = {}): HTMLButtonElement =>
  button(drawn(id), press, { class: "quiet", ...attributes });

/** drawn is a message with its pictogram before it. */
export function drawn(id: string): DocumentFragment {
  const both = document.createDocumentFragment();
  both.append(...[pictogram(id), say(id)].filter((n) => n !== null));
  return both;
}

/** languageChoice lists every language by its own name. */
export function languageChoice(again: () => void): HTMLElement {
  const select = h("select", {
    "data-testid": "language",
    change: () => void choose(select.value).then((found) => { if (found) again(); else select.value = language().language; }),
  }, ...languages.map((l) => h("option", { value: l.language, lang: l.language, selected: l.language === language().language }, l.name)));
  const choice = field(say("settings.language"), select);
  // Whoever reads a machine's words is told so where the language is chosen.
  if (byMachine("settings.machine")) choice.append(h("p", { class: "machine" }, say("settings.machine")));
  return choice;
}

/** telephone makes a number that can be called. */
export function telephone(number: string): HTMLElement {
  const dialled = number.replace(/[^0-9+]/g, "");
  return h("a", { href: `tel:${dialled}`, class: "telephone" }, h("bdi", { dir: "ltr" }, number));
}

/** desk is the network's telephone, as the service wrote it into the page. */
export function desk(): string {
  return document.querySelector<HTMLMetaElement>("meta[name=desk]")?.content ?? "";
}
