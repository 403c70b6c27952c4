// Dates as they stand on a card.

/** birth writes YYYYMMDD, YYYYMM or YYYY with dashes: what is not known is not
 * made up. */
export function birth(date: string): string {
  return [date.slice(0, 4), date.slice(4, 6), date.slice(6, 8)].filter(Boolean).join("-");
}
