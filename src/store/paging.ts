/** How much a read takes at once, so that neither memory nor the event loop is held for long. */

export const PAGE_ROWS = 1_000;
export const PAGE_BYTES = 4 * 1024 * 1024;

/** What is left of one page; a page holds at least one row. */
export class PageBudget {
  #rows = PAGE_ROWS;
  #bytes = PAGE_BYTES;

  /** Counts a row. Whether the page is full with it. */
  isFullWith(bytes: number): boolean {
    this.#rows--;
    this.#bytes -= bytes;
    return this.#rows <= 0 || this.#bytes <= 0;
  }
}
