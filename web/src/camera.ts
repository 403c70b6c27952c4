// A camera and its frames. One frame is read at a time; what comes meanwhile is
// dropped.

import { pixels } from "./symbols";

interface Features {
  lamp: boolean;
  others: boolean;
}

// Whole and large, its middle, and whole but small: what one does not see
// another may.
const looks = [
  { crop: 1, side: 1280 },
  { crop: 0.6, side: 1000 },
  { crop: 1, side: 720 },
  { crop: 0.6, side: 1600 },
];

export class Camera {
  ready: (features: Features) => void = () => {};
  private stream: MediaStream | null = null;
  private cameras: MediaDeviceInfo[] = [];
  private at = 0;
  private lit = false;
  private turn = 0;
  private stopped = false;

  constructor(private video: HTMLVideoElement, private frame: (picture: ImageData) => Promise<void>) {}

  async start(device?: string): Promise<void> {
    if (this.stopped) return;
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "NotFoundError");
    this.release();
    const size = { width: { ideal: 1920 }, height: { ideal: 1080 } };
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: device ? { ...size, deviceId: { exact: device } } : { ...size, facingMode: { ideal: "environment" } },
    });
    // The screen may have gone while somebody was asked for permission.
    if (this.stopped) return stream.getTracks().forEach((t) => t.stop());
    this.stream = stream;
    this.video.srcObject = stream;
    this.video.muted = true;
    await this.video.play().catch(() => {});
    this.cameras = (await navigator.mediaDevices.enumerateDevices()).filter((d) => d.kind === "videoinput");
    this.ready({ lamp: this.hasLamp(), others: this.cameras.length > 1 });
    this.loop();
  }

  /** pause lets go of the camera; start takes it again. */
  pause(): void {
    this.release();
  }

  stop(): void {
    this.stopped = true;
    this.release();
  }

  async next(): Promise<void> {
    this.at = (this.at + 1) % Math.max(1, this.cameras.length);
    await this.start(this.cameras[this.at]?.deviceId);
  }

  async toggleLamp(): Promise<void> {
    this.lit = !this.lit;
    await this.track()?.applyConstraints({ advanced: [{ torch: this.lit } as MediaTrackConstraintSet] }).catch(() => {});
  }

  private track(): MediaStreamTrack | undefined {
    return this.stream?.getVideoTracks()[0];
  }

  private hasLamp(): boolean {
    return Boolean((this.track()?.getCapabilities?.() as { torch?: boolean } | undefined)?.torch);
  }

  private release(): void {
    this.stream?.getTracks().forEach((t) => t.stop());
    this.stream = null;
    this.video.srcObject = null;
    this.lit = false;
  }

  private loop(): void {
    const { stream, video } = this;
    const look = async (): Promise<void> => {
      if (this.stopped || this.stream !== stream) return;
      const { videoWidth: width, videoHeight: height } = video;
      if (width > 0) {
        const { crop, side } = looks[this.turn++ % looks.length] ?? { crop: 1, side: 1280 };
        const scale = Math.min(1, side / (Math.max(width, height) * crop));
        await this.frame(pixels(video, width, height, scale, crop)).catch(() => {});
      }
      next();
    };
    const next = (): void => {
      if (this.stopped || this.stream !== stream) return;
      if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(() => void look());
      else setTimeout(() => void look(), 60);
    };
    next();
  }
}
