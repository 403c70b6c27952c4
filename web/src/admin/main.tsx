// The page on which people sign in and agree to what concerns who may do what.

import { render, type VNode } from "preact";
import { Refused } from "../shared/service";
import { begin as beginWords } from "../shared/words";
import { asked } from "./deciding";
import { forget } from "./names";
import { Notices } from "./notices";
import { handing } from "./once";
import { Press, Screen, useLoaded, Loaded } from "./parts";
import { passkeys } from "../shared/passkey";
import { begin as beginPlaces, go, place } from "./place";
import { Agencies, ChangedAgency, Compromised, NewAgency, OneAgency, Partner, Quota } from "./screens/agencies";
import { Alarms } from "./screens/alarms";
import { JustAsked } from "./screens/asked";
import { Changes, OneChange } from "./screens/changes";
import { Devices, NewDevice, OneDevice } from "./screens/devices";
import { Founding } from "./screens/founding";
import { Home } from "./screens/home";
import { Join, joining } from "./screens/join";
import { Mine } from "./screens/me";
import { ChangedPerson, NewPerson, OneOf, People } from "./screens/people";
import { NewProgram, OneProgram, Programs } from "./screens/programs";
import { One } from "./screens/request";
import { SignIn } from "./screens/signin";
import { Signing } from "./screens/signing";
import * as service from "./service";
import { Beside, Say } from "./words";

// A place that this page does not know shows the first screen.
const screens: Record<string, (of: { id: string }) => VNode> = {
  home: Home, request: One,
  people: People, person: OneOf, "person-new": NewPerson, "person-change": ChangedPerson,
  agencies: Agencies, agency: OneAgency, "agency-new": NewAgency, "agency-change": ChangedAgency, "agency-partner": Partner, "agency-quota": Quota,
  "agency-compromised": Compromised,
  devices: Devices, device: OneDevice, "device-new": NewDevice,
  programs: Programs, program: OneProgram, "program-new": NewProgram,
  changes: Changes, change: OneChange,
  signing: Signing, founding: Founding, alarms: Alarms, me: Mine,
};

async function signOut(): Promise<void> {
  await service.signOut();
  forget();
  asked.value = null;
  service.ended.value = "left";
  service.another.value = "";
  service.me.value = null;
  go("home"); // whoever comes next begins there
}

function Page(): VNode {
  const me = service.me.value;
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}><Say id="page.skip" /></a>
      {me && joining.value === null && (
        <header>
          <div class="strip">
            <p><bdi>{me.handle}</bdi> · <bdi>{me.agency_name || me.network}</bdi></p>
            <Press id="admin.signout" act={signOut} testid="signout" />
          </div>
          {me.demo && <p class="plain" data-testid="demo"><Say id="page.demo" /></p>}
          {service.another.value === me.id && <p class="note" role="alert" data-testid="another"><Beside id="admin.another" values={{ who: me.handle }} /></p>}
          <Notices key={me.id} />
        </header>
      )}
      <Now />
    </>
  );
}

function Now(): VNode {
  if (!passkeys()) return <Screen name="browser" title="admin.title"><p class="lead"><Beside id="admin.browser" /></p></Screen>;
  if (joining.value !== null) return <Join key={joining.value} secret={joining.value} />;
  if (service.me.value === undefined) return <Before />;
  if (service.me.value === null) return <SignIn />;
  if (asked.value) return <JustAsked key={asked.value.request.id} of={asked.value} />;
  const { screen, id } = place.value;
  const Shown = screens[screen] ?? Home;
  return <Shown key={`${service.me.value.id}/${screen}/${id}`} id={id} />;
}

// Before finds out whether somebody is signed in.
function Before(): VNode {
  const found = useLoaded(async () => {
    service.me.value = await service.readSession().catch((e) => {
      if (e instanceof Refused && e.status === 401) return null;
      throw e;
    });
  });
  return <Screen name="start" title="admin.title"><Loaded from={found}>{() => null}</Loaded></Screen>;
}

const memory = {
  read: async (): Promise<string | undefined> => { try { return localStorage.getItem("language") ?? undefined; } catch { return undefined; } },
  write: async (language: string): Promise<void> => { try { localStorage.setItem("language", language); } catch { /* this browser keeps nothing */ } },
};

async function start(): Promise<void> {
  // The secret of a link leaves the address before anything else happens.
  beginPlaces((secret) => { joining.value = secret; });
  await beginWords(memory);
  // A page that comes back from the back-forward cache asks anew who is signed in.
  addEventListener("pageshow", (e) => { if (e.persisted) { forget(); service.me.value = undefined; } });
  // Another window of this browser may have signed in somebody else.
  addEventListener("focus", () => { if (service.me.value) void service.same().catch(() => undefined); });
  service.another.subscribe((now) => { if (now) { forget(); asked.value = null; } });
  // Who goes back has not decided what was asked for, and finds it on the first screen.
  // What is shown once stays.
  place.subscribe(() => {
    service.another.value = "";
    if (!asked.value?.once && !handing()) asked.value = null;
  });
  const app = document.getElementById("app");
  if (!app) return;
  app.replaceChildren();
  render(<Page />, app);
}

void start();
