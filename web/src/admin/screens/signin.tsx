// Sign in with a passkey. No name is typed: the passkey knows whose it is.

import type { VNode } from "preact";
import { Refused } from "../../shared/service";
import { LanguageChoice, Press, Screen } from "../parts";
import { use } from "../../shared/passkey";
import * as service from "../service";
import { Beside, Say } from "../words";

// Nobody signs in while the network is locked: this page then leads to where it is opened.
async function signIn(): Promise<void> {
  try {
    await enter();
  } catch (e) {
    if (!(e instanceof Refused && e.code === "locked")) throw e;
    service.ended.value = "locked";
  }
}

async function enter(): Promise<void> {
  const { options } = await service.beginSignIn();
  const response = await use(options);
  service.me.value = await service.signIn({ response }).catch((e) => {
    throw e instanceof Refused && e.status === 401 ? new Refused(401, "not_known") : e;
  });
  service.ended.value = "";
}

export function SignIn(): VNode {
  const why = service.ended.value;
  return (
    <Screen key={why} name="signin" title="admin.signin.title">
      {why && <p class="note" role="status" data-testid="ended"><Beside id={`admin.signin.${why}`} /></p>}
      {why === "locked" ? <div class="actions"><a class="button primary" href="/unlock" data-testid="unlock"><Say id="admin.signin.open" /></a></div> : (
        <>
          <p class="lead"><Beside id="admin.signin.lead" /></p>
          <div class="actions"><Press id="admin.signin.button" primary act={signIn} testid="signin" /></div>
          <p class="hint"><Beside id="admin.signin.new" /></p>
          <p class="hint"><Beside id="admin.signin.lost" /></p>
        </>
      )}
      <LanguageChoice />
    </Screen>
  );
}
