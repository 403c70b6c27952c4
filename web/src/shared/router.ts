// A router shows screens by their names. A screen names the next one and does
// not import it, so that the files of screens form no import cycle.

/** Loaders show the screens S, each with what it is given. */
export type Loaders<S> = { [Name in keyof S]: (given: S[Name]) => void | Promise<void> };

export interface Router<S> {
  /** begin takes the table of screens; a page's entry calls it, once. */
  begin(table: Loaders<S>): void;
  /** go shows a screen. It rejects with what the screen rejects with. */
  go<Name extends keyof S>(name: Name, ...given: undefined extends S[Name] ? [S[Name]?] : [S[Name]]): Promise<void>;
}

/** router is made once for a page, from the names of its screens. */
export function router<S>(): Router<S> {
  let loaders: Loaders<S> | undefined;
  return {
    begin(table) { loaders = table; },
    async go(name, ...given) {
      if (!loaders) throw new Error("no screens");
      await loaders[name](given[0] as S[typeof name]);
    },
  };
}
