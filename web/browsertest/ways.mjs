// The other ways to show a card: a hand scanner, pictures that are hard to read,
// pages of a PDF, credentials as text. And codes that were pasted.
import { start } from "./chromium.mjs";
import { at, check, enrolWithPIN, expect, open, press, ready, result, screen } from "./page.mjs";

// The keys of 1 to 9 and 0 on a French keyboard.
const french = "&é\"'(-è_çà";
const onFrench = (digits) => [...digits].map((d) => french[(Number(d) + 9) % 10]).join("");

export async function otherWays(config) {
  const { context, stop } = await start();
  try {
    const page = await open(context, config.madeUp, { hash: "#invite=sci_otherways-0001" });
    await enrolWithPIN(page);
    await at(page, "ready");
    const { digits, code, first } = config.cards.find((c) => c.name === "unconfirmed");
    const english = (await import("../catalogues/en.json", { with: { type: "json" } })).default.messages;

    // A scanner types wherever the focus is, and goes on in the field. The first sign
    // goes to the page; this test's keyboard has no keys for all of the others.
    const scanned = {
      "with a prefix": `]Q1${digits}`,
      "in groups of four": digits.replace(/(.{4})/g, "$1 "),
      "on a French keyboard": `$A&${onFrench(digits)}`,
    };
    for (const [how, typed] of Object.entries(scanned)) {
      await ready(page);
      await page.evaluate(() => document.activeElement?.blur());
      await page.keyboard.press(typed[0]);
      await page.keyboard.insertText(typed.slice(1));
      await at(page, "code", "result");
      expect((await screen(page)) === "code", `scanned ${how}, a card is no card: ${(await result(page)).text}`);
    }

    // What nearly is a card could not be read; it is not called somebody else's.
    for (const typed of [digits.slice(1), `x${digits}x`, onFrench(digits).slice(4)]) {
      const { state, text } = await check(page, typed, null);
      expect(state === "unreadable" && text.includes(english["reason.nearly_card"].text), `nearly a card: ${state} ${text}`);
    }

    // Marks of direction came along when the code was copied.
    const pasted = await check(page, digits, `\u202a${code.slice(0, 5)}\u200b${code.slice(5)}\u202c`);
    expect(pasted.state === first, `with a pasted code a card shows ${pasted.state}, want ${first}`);

    for (const { name, png } of config.pictures) {
      const { state } = await check(page, { name: "card.png", mimeType: "image/png", buffer: Buffer.from(png, "base64") }, null);
      expect(state === "code_not_given", `${name}: ${state}`);
    }

    // A page that was drawn is to be photographed; light and distance do not help.
    const drawn = Buffer.from("%PDF-1.4\n1 0 obj\n<< /Length 18 >>\nstream\n0 0 10 10 re f\nendstream\nendobj\ntrailer << >>\n%%EOF\n");
    const shown = await check(page, { name: "card.pdf", mimeType: "application/pdf", buffer: drawn }, null);
    expect(shown.state === "unreadable" && shown.text.includes(english["reason.drawn_page"].text), `a drawn page: ${shown.state} ${shown.text}`);
    expect(!shown.text.includes(english["state.unreadable.next"].text), "a drawn page is said to need light");

    const { whole, cut } = config.credentials;
    for (const [text, nothing] of [[whole, false], [` \u200b${whole}\n `, false], [cut, true]]) {
      const said = await check(page, text, null);
      expect(said.state === "unconfirmed", `a credential shows ${said.state}: ${said.text}`);
      expect(said.text.includes(english["result.says_nothing"].text) === nothing, `says nothing: want ${nothing}: ${said.text}`);
    }
    await press(page, "close");
    expect(page.problems.length === 0, `the page complains: ${page.problems.join("; ")}`);
    return `a hand scanner in ${Object.keys(scanned).length} ways, nearly a card, a pasted code, ${config.pictures.length} hard pictures, a drawn page, a credential whole and cut`;
  } finally {
    await stop();
  }
}
