// A code stretches to the same bytes whenever it is stretched, which takes most of
// the time of a check. Scenarios about other things remember them, all together.
// Those of a whole check (pinDevice, offline, camera, closing, otherWays) do not.

const remembered = new Map();

/** rememberStretches stretches each code once for all the pages that do this. */
export async function rememberStretches(context) {
  await context.exposeFunction("rememberedStretch", (key) => remembered.get(key) ?? null);
  await context.exposeFunction("rememberStretch", (key, bytes) => { remembered.set(key, bytes); });
  await context.addInitScript(() => {
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message, ...more) {
      if (message?.method !== "stretch" || sessionStorage.getItem("stretchAnew")) return post.call(this, message, ...more);
      const { salt, ...work } = message.args[0];
      const key = JSON.stringify([work, [...salt]]);
      const answer = (bytes) => this.dispatchEvent(new MessageEvent("message", { data: { id: message.id, result: new Uint8Array(bytes) } }));
      globalThis.rememberedStretch(key).then((bytes) => {
        if (bytes) return answer(bytes);
        this.addEventListener("message", function heard({ data }) {
          if (data.id !== message.id) return;
          this.removeEventListener("message", heard);
          void globalThis.rememberStretch(key, [...data.result]);
        });
        return post.call(this, message, ...more);
      });
    };
  });
}

/** stretchAnew lets a page stretch from now on, whatever is remembered. */
export const stretchAnew = (page) => page.evaluate(() => sessionStorage.setItem("stretchAnew", "1"));
