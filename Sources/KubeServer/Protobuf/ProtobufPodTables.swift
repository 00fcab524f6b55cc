/// Pod templates, with the fields that are common; a template that uses others is refused.
extension ProtobufMessage {
  private static let named = ProtobufMessage([1: .text("name")])

  private static let keySelector = ProtobufMessage([1: .inline(named), 2: .text("key"), 3: .optionalFlag("optional")])

  private static let variableSource = ProtobufMessage([
    1: .message("fieldRef", ProtobufMessage([1: .text("apiVersion"), 2: .text("fieldPath")])),
    2: .message(
      "resourceFieldRef",
      ProtobufMessage([1: .text("containerName"), 2: .text("resource"), 3: .quantity("divisor")])),
    3: .message("configMapKeyRef", keySelector), 4: .message("secretKeyRef", keySelector),
  ])

  private static let environmentSource = ProtobufMessage([1: .inline(named), 2: .optionalFlag("optional")])

  private static let httpGet = ProtobufMessage([
    1: .text("path"), 2: .intOrString("port"), 3: .text("host"), 4: .text("scheme"),
    5: .messages("httpHeaders", ProtobufMessage([1: .text("name"), 2: .text("value")])),
  ])

  private static let handler = ProtobufMessage([
    1: .message("exec", ProtobufMessage([1: .texts("command")])), 2: .message("httpGet", httpGet),
    3: .message("tcpSocket", ProtobufMessage([1: .intOrString("port"), 2: .text("host")])),
  ])

  private static let probe = ProtobufMessage([
    1: .inline(handler), 2: .number("initialDelaySeconds"), 3: .number("timeoutSeconds"), 4: .number("periodSeconds"),
    5: .number("successThreshold"), 6: .number("failureThreshold"), 7: .optionalNumber("terminationGracePeriodSeconds"),
  ])

  private static let seccomp = ProtobufMessage([1: .text("type"), 2: .text("localhostProfile")])

  private static let containerSecurity = ProtobufMessage([
    1: .message("capabilities", ProtobufMessage([1: .texts("add"), 2: .texts("drop")])), 2: .optionalFlag("privileged"),
    4: .optionalNumber("runAsUser"), 5: .optionalFlag("runAsNonRoot"), 6: .optionalFlag("readOnlyRootFilesystem"),
    7: .optionalFlag("allowPrivilegeEscalation"), 8: .optionalNumber("runAsGroup"), 9: .text("procMount"),
    11: .message("seccompProfile", seccomp),
  ])

  private static let container = ProtobufMessage([
    1: .text("name"), 2: .text("image"), 3: .texts("command"), 4: .texts("args"), 5: .text("workingDir"),
    6: .messages(
      "ports",
      ProtobufMessage([
        1: .text("name"), 2: .number("hostPort"), 3: .number("containerPort"), 4: .text("protocol"), 5: .text("hostIP"),
      ])),
    7: .messages(
      "env", ProtobufMessage([1: .text("name"), 2: .text("value"), 3: .message("valueFrom", variableSource)])),
    8: .message("resources", resources),
    9: .messages(
      "volumeMounts",
      ProtobufMessage([
        1: .text("name"), 2: .flag("readOnly"), 3: .text("mountPath"), 4: .text("subPath"),
        5: .text("mountPropagation"), 6: .text("subPathExpr"), 7: .text("recursiveReadOnly"),
      ])),
    10: .message("livenessProbe", probe), 11: .message("readinessProbe", probe), 22: .message("startupProbe", probe),
    12: .message("lifecycle", ProtobufMessage([1: .message("postStart", handler), 2: .message("preStop", handler)])),
    13: .text("terminationMessagePath"), 14: .text("imagePullPolicy"),
    15: .message("securityContext", containerSecurity), 16: .flag("stdin"), 17: .flag("stdinOnce"), 18: .flag("tty"),
    19: .messages(
      "envFrom",
      ProtobufMessage([
        1: .text("prefix"), 2: .message("configMapRef", environmentSource), 3: .message("secretRef", environmentSource),
      ])),
    20: .text("terminationMessagePolicy"),
    21: .messages("volumeDevices", ProtobufMessage([1: .text("name"), 2: .text("devicePath")])),
    24: .text("restartPolicy"),
  ])

  private static let keyPath = ProtobufMessage([1: .text("key"), 2: .text("path"), 3: .optionalNumber("mode")])

  private static let podVolumeSource = ProtobufMessage([
    1: .message("hostPath", ProtobufMessage([1: .text("path"), 2: .text("type")])),
    2: .message("emptyDir", ProtobufMessage([1: .text("medium"), 2: .quantity("sizeLimit")])),
    6: .message(
      "secret",
      ProtobufMessage([
        1: .text("secretName"), 2: .messages("items", keyPath), 3: .optionalNumber("defaultMode"),
        4: .optionalFlag("optional"),
      ])),
    7: .message("nfs", ProtobufMessage([1: .text("server"), 2: .text("path"), 3: .flag("readOnly")])),
    10: .message("persistentVolumeClaim", ProtobufMessage([1: .text("claimName"), 2: .flag("readOnly")])),
    19: .message(
      "configMap",
      ProtobufMessage([
        1: .inline(named), 2: .messages("items", keyPath), 3: .optionalNumber("defaultMode"),
        4: .optionalFlag("optional"),
      ])),
  ])

  private static let podSecurity = ProtobufMessage([
    2: .optionalNumber("runAsUser"), 3: .optionalFlag("runAsNonRoot"), 4: .numbers("supplementalGroups"),
    5: .optionalNumber("fsGroup"), 6: .optionalNumber("runAsGroup"), 9: .text("fsGroupChangePolicy"),
    10: .message("seccompProfile", seccomp),
  ])

  private static let toleration = ProtobufMessage([
    1: .text("key"), 2: .text("operator"), 3: .text("value"), 4: .text("effect"),
    5: .optionalNumber("tolerationSeconds"),
  ])

  private static let podSpec = ProtobufMessage([
    1: .messages("volumes", ProtobufMessage([1: .text("name"), 2: .inline(podVolumeSource)])),
    2: .messages("containers", container), 3: .text("restartPolicy"),
    4: .optionalNumber("terminationGracePeriodSeconds"), 5: .optionalNumber("activeDeadlineSeconds"),
    6: .text("dnsPolicy"), 7: .textMap("nodeSelector"), 8: .text("serviceAccountName"), 9: .text("serviceAccount"),
    10: .text("nodeName"), 11: .flag("hostNetwork"), 12: .flag("hostPID"), 13: .flag("hostIPC"),
    14: .message("securityContext", podSecurity), 15: .messages("imagePullSecrets", named), 16: .text("hostname"),
    17: .text("subdomain"), 19: .text("schedulerName"), 20: .messages("initContainers", container),
    21: .optionalFlag("automountServiceAccountToken"), 22: .messages("tolerations", toleration),
    23: .messages("hostAliases", ProtobufMessage([1: .text("ip"), 2: .texts("hostnames")])),
    24: .text("priorityClassName"), 25: .optionalNumber("priority"), 27: .optionalFlag("shareProcessNamespace"),
    29: .text("runtimeClassName"), 30: .optionalFlag("enableServiceLinks"), 31: .text("preemptionPolicy"),
  ])

  static let podTemplate = ProtobufMessage([1: .message("metadata", objectMeta), 2: .message("spec", podSpec)])
}
