/** A rare message, with its bytes copied out of the read buffer. */
export interface Request {
  /** Empty if no answer is wanted. */
  reply: Buffer;
  payload: Buffer;
}
